"""The canonical form: requests, answers and streams as every dialect can read and write them.

Where dialects differ, the richer one's distinction is kept, under the field's usual name. Arguments of tools are JSON texts; data
of pictures, sound and files is base64 text without any prefix. None or an empty value: not said.
"""

from typing import Any, Literal

import msgspec

from apps.providers.usage import Usage

type Json = dict[str, Any]

# --- What messages are made of ---


class Citation(msgspec.Struct, kw_only=True):
    """Where a piece of an answer's text comes from. `start`, `end`: characters of the text that it is for; None: not said."""

    url: str = ""
    title: str = ""
    start: int | None = None
    end: int | None = None
    quoted: str = ""


class Text(msgspec.Struct):
    """`cache`: the prompt up to here may be kept by the provider, for "5m" or "1h"; empty: it is not marked."""

    text: str
    cache: str = ""
    citations: list[Citation] = msgspec.field(default_factory=list)


class Refusal(msgspec.Struct):
    """What the model says in the place of an answer that it will not give."""

    text: str


class Image(msgspec.Struct, kw_only=True):
    """By `url`, or by `data` with its `media_type`, or by `file_id` of the provider."""

    url: str = ""
    data: str = ""
    media_type: str = ""
    file_id: str = ""
    detail: str = ""  # low, high, auto, original
    cache: str = ""


class Audio(msgspec.Struct, kw_only=True):
    """Sound that the model hears. `media_type` such as audio/wav."""

    data: str
    media_type: str


class File(msgspec.Struct, kw_only=True):
    """A document: by `url`, by `data` with its `media_type` (application/pdf), by `file_id`; or `text`, which is plain."""

    url: str = ""
    data: str = ""
    media_type: str = ""
    file_id: str = ""
    text: str = ""
    name: str = ""
    cache: str = ""


class Thinking(msgspec.Struct, kw_only=True):
    """What the model thought. `signature` proves it to whom it came from (`origin`: a dialect's name), and to nobody else.

    `redacted`: there is no text, and the signature is all there is.
    """

    text: str = ""
    signature: str = ""
    origin: str = ""
    redacted: bool = False


class ToolCall(msgspec.Struct, kw_only=True):
    """`arguments`: JSON text as the model wrote it; of a custom tool any text. `signature`, `origin` as of Thinking."""

    id: str
    name: str
    arguments: str = "{}"
    custom: bool = False
    signature: str = ""
    origin: str = ""
    cache: str = ""


class ToolResult(msgspec.Struct, kw_only=True):
    """What a call of a tool brought. `name`: of the tool, where it is known."""

    id: str
    name: str = ""
    parts: "list[Text | Image | File]" = msgspec.field(default_factory=list)
    is_error: bool = False
    cache: str = ""


type Part = Text | Refusal | Image | Audio | File | Thinking | ToolCall | ToolResult


class Message(msgspec.Struct):
    """One turn. Tool results are parts of the user's. `system` in the midst of others is an instruction from there on."""

    role: Literal["system", "user", "assistant"]
    parts: list[Part]
    name: str = ""


# --- Requests ---


class Tool(msgspec.Struct, kw_only=True):
    """A tool that the client runs. `parameters`: a JSON Schema of type object; None: it takes none."""

    name: str
    description: str = ""
    parameters: Json | None = None
    strict: bool | None = None
    cache: str = ""


class ToolChoice(msgspec.Struct, kw_only=True):
    """`mode`: whether tools may or must be called. `names`: only these, where any are named."""

    mode: Literal["auto", "none", "required"] = "auto"
    names: list[str] = msgspec.field(default_factory=list)


class Format(msgspec.Struct, kw_only=True):
    """The answer is JSON, of `schema` if there is one."""

    schema: Json | None = None
    name: str = ""
    description: str = ""
    strict: bool | None = None


class Reasoning(msgspec.Struct, kw_only=True):
    """How much the model shall think.

    `effort` in OpenAI's words (none, minimal, low, medium, high, xhigh, max), or `budget`, in tokens (0: none; -1: as many as it
    likes), where it was given as a number. `shown`: whether its thoughts are asked for.
    """

    effort: str = ""
    budget: int | None = None
    shown: bool | None = None


class Request(msgspec.Struct, kw_only=True):
    """A request for text. Counts, seeds and numbers as in OpenAI's chat; None: not said.

    `left`: what the reader has met and this form has no place for, as JSON paths in the client's own words: it is lost.
    `fatal`: such things without which the request means something else, path → what to do about it.
    """

    model: str
    messages: list[Message]
    system: list[Text] = msgspec.field(default_factory=list)  # instructions before the first turn
    tools: list[Tool] = msgspec.field(default_factory=list)
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    format: Format | None = None
    reasoning: Reasoning | None = None
    verbosity: str = ""
    max_output: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: list[str] = msgspec.field(default_factory=list)
    n: int | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: Json | None = None
    logprobs: int | None = None  # how many alternatives of each token; 0: only the token's own
    stream: bool = False
    include_usage: bool = False  # of a chat stream: whether the client wants the usage event
    user: str = ""
    metadata: Json | None = None
    service_tier: str = ""  # as sent
    cache_key: str = ""
    left: list[str] = msgspec.field(default_factory=list)
    fatal: dict[str, str] = msgspec.field(default_factory=dict)
    # What a Responses answer repeats of its request, as it was sent.
    echo: Json = msgspec.field(default_factory=dict)


# --- Answers ---

type Finish = Literal["", "stop", "stop_sequence", "length", "tool_calls", "content_filter", "pause", "error"]


class Choice(msgspec.Struct, kw_only=True):
    """One of the answers. `stopped_by`: the stop sequence, where it is known. `logprobs`: in the form of OpenAI's chat."""

    parts: list[Part] = msgspec.field(default_factory=list)
    finish: Finish = "stop"
    stopped_by: str = ""
    logprobs: Json | None = None


class Answer(msgspec.Struct, kw_only=True):
    """A whole answer. `usage`: None if the provider told none. `error`: the answer is a failure after all (docs: status 502)."""

    choices: list[Choice]
    id: str = ""  # the provider's own
    model: str = ""  # as the provider names it
    usage: Usage | None = None
    service_tier: str = ""
    error: "Failed | None" = None


# --- Streams: an answer in pieces, in the order in which they come ---


class Begun(msgspec.Struct):
    """The first event of every stream, once. `usage`: what is known of the input already."""

    id: str = ""
    model: str = ""
    usage: Usage | None = None


class TextDelta(msgspec.Struct):
    """A piece of text. `logprobs`: OpenAI's chat form, a list of tokens."""

    text: str
    choice: int = 0
    logprobs: list[Json] | None = None


class RefusalDelta(msgspec.Struct):
    """A piece of a refusal."""

    text: str
    choice: int = 0


class ThinkingDelta(msgspec.Struct):
    """A piece of what the model thinks."""

    text: str
    choice: int = 0


class Signed(msgspec.Struct):
    """The signature of the thoughts before it, whole; `redacted`: of thoughts that are not shown at all."""

    signature: str
    origin: str
    redacted: bool = False
    choice: int = 0


class ToolBegun(msgspec.Struct):
    """A call of a tool begins; `index` counts the calls of one answer from 0.

    Its pieces name the same index, and may come in between those of others.
    """

    index: int
    id: str
    name: str
    choice: int = 0
    signature: str = ""
    origin: str = ""
    custom: bool = False


class ToolDelta(msgspec.Struct):
    """A piece of a call's arguments."""

    index: int
    arguments: str
    choice: int = 0


class Cited(msgspec.Struct):
    """A citation for text that has come."""

    citation: Citation
    choice: int = 0


class ImageMade(msgspec.Struct):
    """A picture in the answer, whole."""

    image: Image
    choice: int = 0


class Ping(msgspec.Struct):
    """The provider is still there."""


class Finished(msgspec.Struct):
    """One of the answers is over."""

    finish: Finish
    choice: int = 0
    stopped_by: str = ""


class Used(msgspec.Struct):
    """Usage as far as it is known; what is told later replaces it."""

    usage: Usage
    service_tier: str = ""


class Ended(msgspec.Struct):
    """The stream is whole; nothing follows."""


class Failed(msgspec.Struct, kw_only=True):
    """The provider's failure in the midst of a stream, or in the place of one; nothing follows. `status`: HTTP's, where known."""

    message: str
    type: str = ""
    code: str = ""
    param: str = ""
    status: int = 0


type Event = (
    Begun
    | TextDelta
    | RefusalDelta
    | ThinkingDelta
    | Signed
    | ToolBegun
    | ToolDelta
    | Cited
    | ImageMade
    | Ping
    | Finished
    | Used
    | Ended
    | Failed
)
