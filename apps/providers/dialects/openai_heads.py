"""What we read of requests to OpenAI's endpoints that take no conversation: completions, moderations, pictures and speech."""

from typing import ClassVar

import msgspec

from apps.core import endpoints
from apps.core.errors import InvalidValue, MissingParameter
from apps.providers.dialects.heads import ABSENT, Count, Identifier, decoded, require


class PlainHead(msgspec.Struct):
    """A heads.Head of an endpoint that asks for one thing, of what stands in the request itself."""

    model: Identifier | None = None
    user: Identifier | None = None
    stream: bool | None = None

    tags: ClassVar[tuple[str, ...]] = ()
    service_tier: ClassVar[str | None] = None
    background: ClassVar[bool] = False
    points_elsewhere: ClassVar[bool] = False
    pointers: ClassVar[tuple[bytes, ...]] = ()
    max_searches: ClassVar[int] = 0

    @property
    def asks_for_usage(self) -> bool:
        """Such streams tell it unasked."""
        return True

    @property
    def end_user(self) -> str:
        """Whom the client calls for; empty: it does not say."""
        return self.user or ""

    @property
    def answers(self) -> int:
        """How many are asked for at once."""
        return 1

    def output_cap(self, _endpoint: str) -> int | None:
        """Nothing is said of output tokens."""
        return None


class CompletionHead(PlainHead):
    """Of completions."""

    prompt: msgspec.Raw = ABSENT
    stream_options: dict[str, msgspec.Raw] | None = None
    max_tokens: Count | None = None
    n: Count | None = None
    best_of: Count | None = None

    @property
    def asks_for_usage(self) -> bool:
        """Whether the client itself wants the usage event at the end of a stream."""
        return self.stream_options is not None and bytes(self.stream_options.get("include_usage", ABSENT)) == b"true"

    @property
    def answers(self) -> int:
        """How many are written: for each prompt `n`, or more, of which the best are given."""
        return max(self.n or 1, self.best_of or 1) * _prompts(bytes(self.prompt))

    def output_cap(self, _endpoint: str) -> int | None:
        """`max_tokens`, the only name there is."""
        return self.max_tokens


class ModerationHead(PlainHead):
    """Of moderations."""

    input: msgspec.Raw = ABSENT


class ImagesHead(PlainHead):
    """Of pictures to make."""

    prompt: msgspec.Raw = ABSENT
    n: Count | None = None
    size: Identifier | None = None
    quality: Identifier | None = None
    partial_images: Count | None = None

    @property
    def answers(self) -> int:
        """How many pictures."""
        return self.n or 1


class SpeechHead(PlainHead):
    """Of text to speak."""

    input: str | None = None
    stream_format: Identifier | None = None

    @property
    def text(self) -> str:
        """What is to be spoken."""
        return self.input or ""


class RerankHead(PlainHead):
    """Of documents to be put in an order."""

    query: msgspec.Raw = ABSENT
    documents: msgspec.Raw = ABSENT

    @property
    def documents_count(self) -> int:
        """How many there are."""
        return len(_decode_each(self.documents))

    @property
    def size(self) -> int:
        """Bytes of all documents."""
        return len(self.documents)


_HEADS: dict[str, type[PlainHead]] = {
    endpoints.COMPLETIONS: CompletionHead,
    endpoints.MODERATIONS: ModerationHead,
    endpoints.IMAGES: ImagesHead,
    endpoints.SPEECH: SpeechHead,
    endpoints.RERANK: RerankHead,
}
_DECODE = {endpoint: msgspec.json.Decoder(head).decode for endpoint, head in _HEADS.items()}
_decode_each = msgspec.json.Decoder(list[msgspec.Raw]).decode


def is_plain(endpoint: str) -> bool:
    """Whether this module reads the requests to it."""
    return endpoint in _DECODE


def read_plain_head(body: bytes, endpoint: str) -> PlainHead:
    """What the gateway decides on. Raises BadRequest naming the field."""
    head = decoded(body, _DECODE[endpoint])
    match head:
        case ModerationHead():
            require(head.input, "input", b'"[', "a string or an array")
        case ImagesHead():
            require(head.prompt, "prompt", b'"', "a string")
        case SpeechHead():
            if head.input is None:
                raise MissingParameter("Missing required parameter: 'input'.", param="input")
            head.stream = head.stream_format == "sse"  # what else comes in pieces is sound as it is
        case RerankHead():
            require(head.query, "query", b'"{', "a string")
            require(head.documents, "documents", b"[", "an array")
            head.stream = False
            if not head.documents_count:
                raise InvalidValue("Invalid value for 'documents': send one at least.", param="documents")
    return head


def _prompts(raw: bytes) -> int:
    """How many prompts: one may be a text or its tokens; several are a list of those."""
    if not raw.lstrip().startswith(b"["):
        return 1
    items = _decode_each(raw)
    first = bytes(items[0]).lstrip()[:1] if items else b""
    return len(items) if first in {b'"', b"["} else 1
