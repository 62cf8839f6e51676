"""The cells of the matrix: client, provider's dialect and feature, and which of them cannot be, and why."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from tests.sdk.clients import DIALECTS
from tests.sdk.features import FEATURES
from tests.sdk.upstreams import UPSTREAMS, Upstream

CLIENTS = tuple(DIALECTS)


type How = Literal["refused", "hint", "by it", "unheeded"]


@dataclass(frozen=True, slots=True)
class Loss:
    """What does not go, and why. `param`: the field that is named, in the refusal or in what is said to be dropped.

    `how`: refused by us; a hint, without which the request is answered, unless the policy is strict; refused by the provider,
    which is asked as the client asks; or not heeded by it.
    """

    param: str
    reason: str
    how: How = "refused"


# By the client's dialect and feature: what the client has no words for, so that nobody can ask for it.
UNASKED: Mapping[tuple[str, str], str] = {
    ("responses", "several"): "Responses gives one answer",
    ("messages", "several"): "Messages gives one answer",
    ("responses", "stop"): "Responses has no stop sequences",
    ("messages", "logprobs"): "Messages tells no probabilities",
}
# By the provider's name and feature: what never happens there.
UNKNOWN: Mapping[tuple[str, str], str] = {
    (name, "filtered"): "Mistral, Cohere and Ollama end no answer for what is in it"
    for name in ("mistral", "cohere", "ollama")
}
_NO_STOP = "Responses has no stop sequences"
_ONE = "Responses gives one answer"
_ONE_MESSAGE = "Messages gives one answer"
_NO_PROBABILITIES = "Messages tells no probabilities"
_NO_NAME = "Gemini takes no name of the file"
_NOT_STRICT = Loss("tools[0].strict", "Gemini holds no call to its schema", "hint")
_TOOLS = ("tool", "tools", "results", "proof")
# By the client's dialect, the one that the provider is asked in, and feature.
_OF_DIALECTS: Mapping[tuple[str, str, str], Loss] = {
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
    ("chat", "gemini", "document"): Loss("file.filename", _NO_NAME, "hint"),
    ("responses", "gemini", "document"): Loss("input_file.filename", _NO_NAME, "hint"),
    # OpenAI's own default for Responses is strict, so its clients send it.
    ("responses", "gemini", "forced"): _NOT_STRICT,
    **{("responses", "gemini", f"{tool}{how}"): _NOT_STRICT for tool in _TOOLS for how in ("", "-streamed")},
}
# By the provider's name and feature: what those lack whose chat is not quite OpenAI's, in chat's words. First where the request
# is translated, then where a client of chat asks the provider itself.
_TRANSLATED: Mapping[tuple[str, str], Loss] = {
    ("cohere", "several"): Loss("n", "Cohere gives one answer"),
    ("cohere", "logprobs"): Loss("logprobs", "Cohere tells the probabilities of no other tokens"),
    ("cohere", "document"): Loss("document", "Cohere takes no documents"),
    ("ollama", "several"): Loss("n", "Ollama gives one answer"),
    ("ollama", "forced"): Loss("tool_choice", "Ollama lets the model choose its tools"),
    ("ollama", "document"): Loss("document", "Ollama takes no documents"),
}
_RELAYED: Mapping[tuple[str, str], Loss] = {
    ("cohere", "several"): Loss("n", "Cohere gives one answer", "by it"),
    ("cohere", "logprobs"): Loss("top_logprobs", "Cohere tells the probabilities of no other tokens", "by it"),
    ("cohere", "document"): Loss("messages", "Cohere takes no documents", "by it"),
    ("ollama", "several"): Loss("n", "Ollama gives one answer", "unheeded"),
    ("ollama", "forced"): Loss("tool_choice", "Ollama lets the model choose its tools", "unheeded"),
    ("ollama", "document"): Loss("messages", "Ollama takes no documents", "by it"),
}
_WORDS: Mapping[str, Mapping[str, str]] = {
    "responses": {"document": "input", "logprobs": "top_logprobs"},
    "messages": {"document": "messages[0].content[0]"},
    "gemini": {
        "document": "contents[0].parts[1]",
        "logprobs": "generationConfig.responseLogprobs",
        "n": "generationConfig.candidateCount",
        "tool_choice": "toolConfig.functionCallingConfig",
    },
}


def _loss(client: str, upstream: Upstream, feature: str) -> Loss | None:
    spoken = upstream.spoken_with(client).DIALECT
    if spoken != "chat":
        return _OF_DIALECTS.get((client, spoken, feature))
    if client == "chat":
        return _RELAYED.get((upstream.name, feature))
    loss = _TRANSLATED.get((upstream.name, feature))
    return loss and replace(loss, param=_WORDS[client].get(loss.param, loss.param))


# By the client's dialect, the provider's name, and feature.
LOSSES: Mapping[tuple[str, str, str], Loss] = {
    (client, upstream.name, feature): loss
    for client in dict.fromkeys(DIALECTS.values())
    for upstream in UPSTREAMS
    for feature in FEATURES
    if (client, feature) not in UNASKED
    and (upstream.name, feature) not in UNKNOWN
    and (loss := _loss(client, upstream, feature)) is not None
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One promise."""

    client: str
    upstream: Upstream
    feature: str

    @property
    def dialect(self) -> str:
        """The client's."""
        return DIALECTS[self.client]

    @property
    def loss(self) -> Loss | None:
        """Why it cannot be; None: it is kept."""
        return LOSSES.get((self.dialect, self.upstream.name, self.feature))

    @property
    def model(self) -> str:
        """The one that is asked for."""
        return model_of(self.upstream.name, FEATURES[self.feature].fault, self.client)

    def __str__(self) -> str:
        return f"{plain(self.client)}-{self.upstream.name}-{self.feature}"


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
                if (dialect, feature) not in UNASKED and (upstream.name, feature) not in UNKNOWN:
                    yield Cell(client, upstream, feature)
