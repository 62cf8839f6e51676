"""The sandbox's models: one that chats, one that embeds, and one for every failure an operator may want to rehearse."""

import re
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, Literal

type Kind = Literal["chat", "embedding"]
type Suffix = Literal["", "pause", "chunks"]

MAX_PAUSE = 3600.0  # seconds that a name may ask for; longer is a typing mistake
MAX_CHUNKS = 10_000  # chunks that a name may ask for: the whole stream is held in memory while it is sent


class Damage(Enum):
    """How an answer is spoilt on its way out."""

    NONE = auto()
    HANG = auto()  # silence instead of an answer
    HANG_MIDWAY = auto()  # silence after half of it
    DIE = auto()  # connection reset instead of an answer
    DIE_MIDWAY = auto()  # connection reset after half of it
    MALFORMED = auto()  # broken JSON inside
    ERROR_MIDWAY = auto()  # an in-band error event after half of it
    NO_END = auto()  # an orderly end of the stream, but no terminal event
    ODD_FRAMING = auto()  # the same events, spelt as strangely as the event-stream format allows
    GZIP = auto()  # compressed, whether or not the client offered to take that
    HTML = auto()  # a proxy's error page
    REDIRECT = auto()  # sent elsewhere
    FLAKY = auto()  # every other request fails


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a model departs from answering at once and well. Times in seconds."""

    first_byte: float = 0.0  # before the first byte of the answer, status line included
    between: float = 0.0  # between two chunks of a stream
    chunks: int | None = None  # exactly so many pieces of text instead of 24 to 66
    error: str | None = None  # refuse with this one of errors.REFUSALS
    damage: Damage = Damage.NONE
    usage: bool = True  # whether usage is reported
    filtered: bool = False  # stop half-way for a content filter


@dataclass(frozen=True, slots=True)
class SandboxModel:
    """One model: `kind` says where it is at home; `description` is one line for operators."""

    name: str
    kind: Kind
    description: str
    behaviour: Behaviour = Behaviour()
    suffix: Suffix = ""  # whether `-250ms`, `-2s` or `-500` may follow the name


def _chat(name: str, description: str, suffix: Suffix = "", **behaviour: Any) -> SandboxModel:
    return SandboxModel(name, "chat", description, Behaviour(**behaviour), suffix)


MODELS: tuple[SandboxModel, ...] = (
    SandboxModel("sandbox-chat", "chat", "Answers well: text, streams, tool calls, structured output."),
    SandboxModel("sandbox-embed", "embedding", "Embeds: fixed unit vectors, close together for similar texts."),
    _chat("sandbox-long", "Answers with 2,000 chunks, or as many as a suffix says.", "chunks", chunks=2000),
    # Slow, silent, gone
    _chat("sandbox-slow", "Sends its first byte after 5 s, or after what a suffix says.", "pause", first_byte=5),
    _chat("sandbox-drip", "Pauses 1 s between chunks, or what a suffix says.", "pause", between=1),
    _chat("sandbox-hang", "Never answers.", damage=Damage.HANG),
    _chat("sandbox-hang-mid-stream", "Falls silent half-way.", damage=Damage.HANG_MIDWAY),
    _chat("sandbox-die", "Resets the connection instead of answering.", damage=Damage.DIE),
    _chat("sandbox-die-mid-stream", "Resets the connection half-way.", damage=Damage.DIE_MIDWAY),
    # Wrong on the way
    _chat("sandbox-error-mid-stream", "Reports an error inside the stream half-way.", damage=Damage.ERROR_MIDWAY),
    _chat("sandbox-no-end", "Ends its streams half-way, in order but unfinished.", damage=Damage.NO_END),
    _chat("sandbox-malformed", "Sends broken JSON, in a stream half-way.", damage=Damage.MALFORMED),
    _chat(
        "sandbox-odd-framing",
        "Streams validly but oddly: CR LF, comments, 7 bytes at a time.",
        damage=Damage.ODD_FRAMING,
    ),
    _chat("sandbox-gzip", "Compresses its answers without being asked.", damage=Damage.GZIP),
    _chat("sandbox-no-usage", "Never reports usage.", usage=False),
    _chat("sandbox-content-filter", "Stops half-way with finish_reason content_filter.", filtered=True),
    # Refusals
    _chat(
        "sandbox-prompt-filter", "Refuses the prompt as Azure's filter does: 400 content_filter.", error="prompt_filter"
    ),
    _chat("sandbox-context-length", "Finds the prompt too long: 400 context_length_exceeded.", error="context_length"),
    _chat("sandbox-401", "Rejects the key: 401 invalid_api_key.", error="401"),
    _chat("sandbox-403", "Denies access to the model: 403.", error="403"),
    _chat("sandbox-429", "Is over its rate limit: 429 with a retry-after of 1 s.", error="429"),
    _chat("sandbox-quota", "Has spent its quota: 429 insufficient_quota; waiting does not cure it.", error="quota"),
    _chat("sandbox-500", "Fails: 500 server_error.", error="500"),
    _chat("sandbox-503", "Is overloaded: 503.", error="503"),
    _chat("sandbox-html", "Fails as a broken proxy does: 502 with an HTML page.", damage=Damage.HTML),
    _chat("sandbox-redirect", "Redirects elsewhere: 307, which a gateway must not follow.", damage=Damage.REDIRECT),
    _chat("sandbox-flaky", "Fails every other request with 500.", damage=Damage.FLAKY),
)

_BY_NAME = {model.name: model for model in MODELS}
_PAUSE = re.compile(r"(.+)-(\d{1,7})(ms|s)")
_CHUNKS = re.compile(r"(.+)-(\d{1,7})")


def find(name: str) -> SandboxModel | None:
    """The model of that name, its suffix applied (`sandbox-slow-250ms`, `sandbox-long-500`), or None."""
    if model := _BY_NAME.get(name):
        return model
    if match := _PAUSE.fullmatch(name):
        model, seconds = _BY_NAME.get(match[1]), int(match[2]) / (1000 if match[3] == "ms" else 1)
        if model and model.suffix == "pause" and seconds <= MAX_PAUSE:
            old = model.behaviour
            new = replace(old, first_byte=seconds) if old.first_byte else replace(old, between=seconds)
            return replace(model, name=name, behaviour=new)
    if match := _CHUNKS.fullmatch(name):
        model, chunks = _BY_NAME.get(match[1]), int(match[2])
        if model and model.suffix == "chunks" and 1 <= chunks <= MAX_CHUNKS:
            return replace(model, name=name, behaviour=replace(model.behaviour, chunks=chunks))
    return None
