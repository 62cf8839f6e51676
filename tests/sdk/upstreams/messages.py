"""A provider that speaks Anthropic's Messages."""

import base64
import json
from collections.abc import Iterator
from typing import Any

from tests.sdk.replies import CACHED, FAILING, INPUT, Json, Reply, Seen, ToolUse, Wrong, need, only, pieces
from tests.support import messages
from tests.support.messages import named
from tests.support.provider import Received

DIALECT = "messages"
PATH = STREAM_PATH = "/v1/messages"
IDS = "toolu_"
PROVES = TELLS = COUNTS = True
OVERLOAD = 529
_FIELDS = (
    *("model", "messages", "system", "max_tokens", "tools", "tool_choice", "thinking", "output_config", "stream"),
    *("stop_sequences", "metadata", "service_tier", "cache_control"),
)


def read(received: Received) -> Seen:
    body = received.json
    only(body, *_FIELDS)
    need(received.header("anthropic-version"), "no version")
    need(isinstance(body.get("max_tokens"), int), "max_tokens: Field required")
    seen = Seen(stream=body.get("stream") is True, system=_joined(body.get("system") or ""))
    seen.stop = body.get("stop_sequences") or []
    thinking = body.get("thinking") or {}
    only(thinking, "type", "display", at="thinking.")
    need(thinking.get("type", "adaptive") == "adaptive", "thinking.type.enabled is not supported")
    seen.thinks = bool(thinking)
    seen.shows_thoughts = thinking.get("display") == "summarized"
    choice = body.get("tool_choice") or {}
    need(not choice or not seen.thinks or choice["type"] == "auto", "thinking does not go with a forced tool")
    seen.forced = choice.get("name", "")
    output = body.get("output_config") or {}
    only(output, "effort", "format", at="output_config.")
    if form := output.get("format"):
        need(form["type"] == "json_schema", "output_config.format")
        seen.schema = form["schema"]
        need(form["schema"].get("additionalProperties") is False, "objects must be closed")
    for tool in body.get("tools", ()):
        only(tool, "name", "description", "input_schema", "strict", "type", "cache_control", at="tools.")
        seen.tools[tool["name"]] = tool["input_schema"]
    for turn in body["messages"]:
        _read_turn(turn, seen)
    return seen


def _joined(content: Any) -> str:
    if isinstance(content, str):
        return content
    need(all(block["type"] == "text" and block["text"] for block in content), "text alone goes here")
    return "\n\n".join(block["text"] for block in content)


def _read_turn(turn: Json, seen: Seen) -> None:
    content = turn["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    need(turn["role"] in ("user", "assistant", "system"), "messages.role")
    kinds = [block["type"] for block in blocks]
    if turn["role"] == "system":
        seen.system = _joined(content)
        return
    if "tool_result" in kinds:
        need(set(kinds[: kinds.count("tool_result")]) == {"tool_result"}, "results must come first")
        need(kinds.count("tool_result") == len(seen.calls), "every call needs its result in the next message")
    for block in blocks:
        _read_block(block, seen, is_user=turn["role"] == "user")


def _read_block(block: Json, seen: Seen, *, is_user: bool) -> None:
    match block["type"], is_user:
        case "text", True:
            need(block["text"], "text blocks must not be empty")
            seen.text = block["text"]
        case "text", False:
            need(block["text"], "text blocks must not be empty")
        case "image", True:
            seen.images.append(_source(block["source"]))
        case "document", True:
            seen.documents.append(_source(block["source"]))
        case "tool_result", True:
            need(not block.get("is_error"), "is_error")
            seen.results.append((block["tool_use_id"], _joined(block["content"])))
        case "tool_use", False:
            only(block, "type", "id", "name", "input", "caller", at="tool_use.")
            seen.calls.append(ToolUse(block["id"], block["name"], json.dumps(block["input"])))
        case "thinking", False:
            need(not seen.calls, "thoughts come before their calls")
            seen.proof = block["signature"]
        case kind, _:
            raise Wrong(f"block {kind}")


def _source(source: Json) -> tuple[str, bytes]:
    need(source["type"] == "base64", "source.type")
    return source["media_type"], base64.b64decode(source["data"], validate=True)


def _usage(output: int) -> Json:
    return {
        "input_tokens": INPUT - CACHED,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": CACHED,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "service_tier": "standard",
    }


def _blocks(reply: Reply) -> Iterator[Json]:
    if reply.proof:
        yield {"type": "thinking", "thinking": reply.thoughts, "signature": reply.proof}
    if reply.text:
        yield {"type": "text", "text": reply.text}
    for call in reply.calls:
        yield {"type": "tool_use", "id": call.id, "name": call.name, "input": json.loads(call.arguments)}


def _message(reply: Reply, *, stop: str | None) -> Json:
    return {
        "id": "msg_013",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5",
        "content": list(_blocks(reply)),
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": _usage(reply.output),
    }


def _stop(reply: Reply) -> str:
    return {"cut": "max_tokens", "filtered": "refusal", "": "tool_use" if reply.calls else "end_turn"}[reply.ended]


def whole(reply: Reply) -> Json:
    return _message(reply, stop=_stop(reply))


def _start() -> bytes:
    begun = {**_message(Reply(), stop=None), "usage": _usage(1)}
    return named({"type": "message_start", "message": begun})


def _begin(index: int, block: Json) -> bytes:
    return named({"type": "content_block_start", "index": index, "content_block": block})


def _delta(index: int, kind: str, **data: Any) -> bytes:
    return named({"type": "content_block_delta", "index": index, "delta": {"type": kind, **data}})


def stream(reply: Reply, received: Received) -> Iterator[bytes]:
    yield _start()
    yield named({"type": "ping"})
    for index, block in enumerate(_blocks(reply)):
        match block["type"]:
            case "thinking":
                yield _begin(index, {"type": "thinking", "thinking": "", "signature": ""})
                for piece in pieces(block["thinking"]):
                    yield _delta(index, "thinking_delta", thinking=piece)
                yield _delta(index, "signature_delta", signature=block["signature"])
            case "text":
                yield _begin(index, {"type": "text", "text": ""})
                for piece in pieces(block["text"]):
                    yield _delta(index, "text_delta", text=piece)
            case _:
                yield _begin(index, {**block, "input": {}})
                for piece in ["", *pieces(json.dumps(block["input"], ensure_ascii=False))]:
                    yield _delta(index, "input_json_delta", partial_json=piece)
        yield named({"type": "content_block_stop", "index": index})
    stop = {"stop_reason": _stop(reply), "stop_sequence": None}
    yield named({"type": "message_delta", "delta": stop, "usage": {"output_tokens": reply.output}})
    yield named({"type": "message_stop"})


def begun() -> Iterator[bytes]:
    yield _start()
    yield _begin(0, {"type": "text", "text": ""})
    for piece in pieces(FAILING):
        yield _delta(0, "text_delta", text=piece)


def failure(message: str) -> bytes:
    """The event of a failure in the midst of a stream."""
    return named(messages.error("overloaded_error", message))


early = failure  # which is all that comes


def refusal(status: int, message: str) -> Json:
    kinds = {400: "invalid_request_error", 429: "rate_limit_error", 529: "overloaded_error"}
    return messages.error(kinds[status], message)
