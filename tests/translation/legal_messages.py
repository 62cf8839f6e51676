"""What a stream of Messages must be: events of known shapes, in order, one block open at a time, exactly one end."""

import json
from dataclasses import dataclass, field
from typing import Any

from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

type Json = dict[str, Any]

_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
_DELTAS = {
    "text": {"text_delta", "citations_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "tool_use": {"input_json_delta"},
    "redacted_thinking": set(),
}
_EMPTY = {"text": ("text", ""), "thinking": ("thinking", ""), "tool_use": ("input", {})}
STOPS = {
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
}


@dataclass
class Heard:
    """A stream as a client understands it. `stop`: None if it broke off."""

    blocks: list[Json] = field(default_factory=list)
    stop: str | None = None
    usage: Json = field(default_factory=dict)
    error: Json | None = None
    events: int = 0

    @property
    def text(self) -> str:
        return "".join(block["text"] for block in self.blocks if block["type"] == "text")

    @property
    def thought(self) -> str:
        return "".join(block["thinking"] for block in self.blocks if block["type"] == "thinking")

    @property
    def calls(self) -> list[tuple[str, str, str]]:
        return [(block["id"], block["name"], block["json"]) for block in self.blocks if block["type"] == "tool_use"]


def heard(stream: bytes, *, whole: bool = True) -> Heard:
    """The stream, each rule of its grammar asserted. `whole`: whether it must have ended, well or with an error."""
    found = Heard()
    opened: int | None = None
    state = "before"
    assert not stream or stream.endswith(b"\n\n")
    for raw in stream.split(b"\n\n")[:-1]:
        name, data = _parted(raw)
        found.events += 1
        assert name == data["type"], "every event is named by its type"
        assert state != "after", f"nothing follows the end, but {name} did"
        if name == "error":
            _check_error(data)
            found.error, state = data["error"], "after"
            continue
        if name == "ping":
            assert state == "within"
            continue
        _EVENT.validate_python(data, strict=True)
        if name == "message_start":
            assert state == "before"
            state = "within"
            _check_start(data["message"])
            continue
        assert state in ("within", "near its end")
        if name == "content_block_start":
            assert state == "within"
            assert opened is None, "one block is open at a time"
            opened = data["index"]
            assert opened == len(found.blocks), "indices count up"
            found.blocks.append(_opened(data["content_block"]))
        elif name == "content_block_delta":
            assert data["index"] == opened, "deltas are the open block's"
            _add(found.blocks[-1], data["delta"])
        elif name == "content_block_stop":
            assert data["index"] == opened
            opened = None
        elif name == "message_delta":
            assert state == "within"
            assert opened is None, "blocks are closed before the message is"
            state = "near its end"
            found.stop, found.usage = data["delta"]["stop_reason"], data["usage"]
            assert found.stop in STOPS
            assert (data["delta"]["stop_sequence"] is None) or found.stop == "stop_sequence"
            assert data["usage"]["output_tokens"] >= 0
            assert data["usage"]["input_tokens"] >= 0
        else:
            assert name == "message_stop"
            assert state == "near its end"
            state = "after"
    assert state == "after" or not whole
    return found


def check_answer(body: bytes) -> Json:
    """A whole answer, as the strictest client reads it."""
    message = json.loads(body)
    Message.model_validate(message, strict=True)
    assert message["id"].startswith("msg_")
    assert message["stop_reason"] in STOPS
    assert set(message["usage"]) >= {"input_tokens", "output_tokens"}
    return message


def _parted(raw: bytes) -> tuple[str, Json]:
    first, second = raw.split(b"\n")
    assert first.startswith(b"event: ")
    assert second.startswith(b"data: ")
    return first[7:].decode(), json.loads(second[6:])


def _check_error(data: Json) -> None:
    assert set(data) == {"type", "error", "request_id"}
    assert isinstance(data["error"]["type"], str)
    assert data["error"]["message"]


def _check_start(message: Json) -> None:
    assert message["id"].startswith("msg_")
    assert (message["role"], message["content"], message["stop_reason"]) == ("assistant", [], None)
    assert message["model"]


def _opened(block: Json) -> Json:
    kind = block["type"]
    if kind in _EMPTY:
        name, empty = _EMPTY[kind]
        assert block[name] == empty, "blocks are empty when they open"
    if kind == "tool_use":
        assert block["id"]
        block["json"] = ""
    if kind == "redacted_thinking":
        assert block["data"]
    assert kind in _DELTAS
    return block


def _add(block: Json, delta: Json) -> None:
    kind = delta["type"]
    assert kind in _DELTAS[block["type"]], f"{kind} in a block of type {block['type']}"
    if kind == "text_delta":
        assert delta["text"]
        block["text"] += delta["text"]
    elif kind == "thinking_delta":
        assert not block["signature"], "a signature ends the thoughts"
        block["thinking"] += delta["thinking"]
    elif kind == "signature_delta":
        assert not block["signature"]
        block["signature"] = delta["signature"]
    elif kind == "input_json_delta":
        block["json"] += delta["partial_json"]
    else:
        block.setdefault("citations", []).append(delta["citation"])
