"""The cells of the matrix: client, provider's dialect and feature, and which of them cannot be, and why."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.sdk.clients import DIALECTS
from tests.sdk.features import FEATURES
from tests.sdk.upstreams import UPSTREAMS

CLIENTS = tuple(DIALECTS)


@dataclass(frozen=True, slots=True)
class Loss:
    """What does not go, and why. `param`: the field that is named, in the refusal or in what is said to be dropped.

    `is_hint`: the request is answered without it, unless the policy is strict.
    """

    param: str
    reason: str
    is_hint: bool = False


# By the client's dialect and feature: what the client has no words for, so that nobody can ask for it.
UNASKED: Mapping[tuple[str, str], str] = {
    ("responses", "several"): "Responses gives one answer",
    ("messages", "several"): "Messages gives one answer",
    ("responses", "stop"): "Responses has no stop sequences",
    ("messages", "logprobs"): "Messages tells no probabilities",
}
_NO_STOP = "Responses has no stop sequences"
_ONE = "Responses gives one answer"
_ONE_MESSAGE = "Messages gives one answer"
_NO_PROBABILITIES = "Messages tells no probabilities"
_NO_NAME = "Gemini takes no name of the file"
_NOT_STRICT = Loss("tools[0].strict", "Gemini holds no call to its schema", is_hint=True)
_TOOLS = ("tool", "tools", "results", "proof")
# By the client's dialect, the provider's, and feature.
LOSSES: Mapping[tuple[str, str, str], Loss] = {
    ("chat", "responses", "stop"): Loss("stop", _NO_STOP),
    ("messages", "responses", "stop"): Loss("stop_sequences", _NO_STOP),
    ("gemini", "responses", "stop"): Loss("generationConfig.stopSequences", _NO_STOP),
    ("chat", "responses", "several"): Loss("n", _ONE),
    ("gemini", "responses", "several"): Loss("generationConfig.candidateCount", _ONE),
    ("chat", "messages", "several"): Loss("n", _ONE_MESSAGE),
    ("gemini", "messages", "several"): Loss("generationConfig.candidateCount", _ONE_MESSAGE),
    ("chat", "messages", "logprobs"): Loss("logprobs", _NO_PROBABILITIES),
    ("responses", "messages", "logprobs"): Loss("top_logprobs", _NO_PROBABILITIES),
    ("gemini", "messages", "logprobs"): Loss("generationConfig.responseLogprobs", _NO_PROBABILITIES),
    ("chat", "gemini", "document"): Loss("file.filename", _NO_NAME, is_hint=True),
    ("responses", "gemini", "document"): Loss("input_file.filename", _NO_NAME, is_hint=True),
    # OpenAI's own default for Responses is strict, so its clients send it.
    ("responses", "gemini", "forced"): _NOT_STRICT,
    **{("responses", "gemini", f"{tool}{how}"): _NOT_STRICT for tool in _TOOLS for how in ("", "-streamed")},
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One promise."""

    client: str
    upstream: str
    feature: str

    @property
    def dialect(self) -> str:
        """The client's."""
        return DIALECTS[self.client]

    @property
    def loss(self) -> Loss | None:
        """Why it cannot be; None: it is kept."""
        return LOSSES.get((self.dialect, self.upstream, self.feature))

    @property
    def model(self) -> str:
        """The one that is asked for."""
        return model_of(self.upstream, FEATURES[self.feature].fault, self.client)

    def __str__(self) -> str:
        return f"{plain(self.client)}-{self.upstream}-{self.feature}"


def plain(text: str) -> str:
    """A name of letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower().replace("@", "npm-")).strip("-")


def model_of(upstream: str, fault: str, client: str) -> str:
    """A provider's model; of a fault's there is one for each client."""
    return f"to-{upstream}-{fault}-{plain(client)}" if fault else f"to-{upstream}"


def cells() -> Iterator[Cell]:
    """All that can be asked for."""
    for client, dialect in DIALECTS.items():
        for upstream in UPSTREAMS:
            for feature in FEATURES:
                if (dialect, feature) not in UNASKED:
                    yield Cell(client, upstream.name, feature)
