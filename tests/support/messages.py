"""Bodies that Anthropic would send: small, complete and fixed, for tests to script and to compare with."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.bodies import Json, event

MODEL = "claude-test"
USAGE: Json = {
    "input_tokens": 9,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "output_tokens": 2,
    "service_tier": "standard",
}


def message(*content: Json, text: str = "Hello", stop: str = "end_turn", usage: Mapping[str, Any] = USAGE) -> Json:
    """The body of a whole answer: these blocks, or one that says `text`."""
    return {
        "id": "msg_fake",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": list(content) or [{"type": "text", "text": text}],
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": dict(usage),
    }


def named(data: Json) -> bytes:
    """An event under its type's name, as Anthropic sends all of them."""
    return event(data, name=data["type"])


def start(usage: Mapping[str, Any] = USAGE) -> bytes:
    """The first event: a message without content, with its input's usage and a first guess of its output's."""
    begun = {**message(), "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    return named({"type": "message_start", "message": begun})


def text_block(*pieces: str, index: int = 0) -> Iterator[bytes]:
    """A text, piece by piece."""
    opening = {"type": "text", "text": ""}
    yield named({"type": "content_block_start", "index": index, "content_block": opening})
    for piece in pieces:
        delta = {"type": "text_delta", "text": piece}
        yield named({"type": "content_block_delta", "index": index, "delta": delta})
    yield named({"type": "content_block_stop", "index": index})


def tool_block(name: str, *fragments: str, index: int = 0) -> Iterator[bytes]:
    """A call of a tool, its input fragment by fragment."""
    opening = {"type": "tool_use", "id": f"toolu_{index}", "name": name, "input": {}}
    yield named({"type": "content_block_start", "index": index, "content_block": opening})
    for fragment in fragments:
        delta = {"type": "input_json_delta", "partial_json": fragment}
        yield named({"type": "content_block_delta", "index": index, "delta": delta})
    yield named({"type": "content_block_stop", "index": index})


def end(output: int = 2, *, stop: str = "end_turn", **usage: Any) -> Iterator[bytes]:
    """The last two events."""
    told = {"output_tokens": output, **usage}
    yield named({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": told})
    yield named({"type": "message_stop"})


def stream(*pieces: str) -> Iterator[bytes]:
    """A whole stream that says `pieces`."""
    yield start()
    yield from text_block(*(pieces or ("Hel", "lo")))
    yield from end()


def error(kind: str, text: str) -> Json:
    """Anthropic's error envelope."""
    return {"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_upstream"}
