"""A provider that speaks OpenAI's chat completions, and tells its thoughts as `reasoning_content`."""

import base64
import json
from collections.abc import Iterator
from typing import Any

from tests.sdk.replies import CACHED, CREATED, FAILING, INPUT, Json, Reply, Seen, ToolUse, Wrong, need, only, pieces
from tests.support.bodies import error, event
from tests.support.provider import Received

PATH = "/chat/completions"
IDS = "call_"
PROVES = False  # its thoughts are signed by nobody
OVERLOAD = 503
_FIELDS = (
    *("model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "tools", "tool_choice"),
    *(
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "temperature",
        "n",
        "stop",
        "logprobs",
        "top_logprobs",
    ),
)


def read(received: Received) -> Seen:
    body = received.json
    only(body, *_FIELDS)
    need(received.header("authorization"), "no key")
    form = body.get("response_format")
    seen = Seen(stream=body.get("stream") is True, thinks="reasoning_effort" in body)
    seen.shows_thoughts = seen.thinks
    stop = body.get("stop") or []
    seen.stop = [stop] if isinstance(stop, str) else stop
    choice = body.get("tool_choice")
    seen.forced = choice["function"]["name"] if isinstance(choice, dict) else ""
    seen.several, seen.logprobs = body.get("n") or 1, body.get("logprobs") is True
    if form is not None:
        need(form["type"] == "json_schema" and form["json_schema"]["name"], "response_format")
        seen.schema = form["json_schema"]["schema"]
    for tool in body.get("tools", ()):
        need(tool["type"] == "function", "tool.type")
        seen.tools[tool["function"]["name"]] = tool["function"]["parameters"]
    for message in body["messages"]:
        _read_message(message, seen)
    return seen


def _read_message(message: Json, seen: Seen) -> None:
    match message["role"]:
        case "system" | "developer":
            seen.system = _text(message["content"])
        case "user":
            need(not seen.calls or len(seen.results) == len(seen.calls), "calls without results")
            _read_user(message["content"], seen)
        case "assistant":
            for call in message.get("tool_calls") or ():
                function = call["function"]
                need(call["type"] == "function" and isinstance(json.loads(function["arguments"]), dict), "tool_calls")
                seen.calls.append(ToolUse(call["id"], function["name"], function["arguments"]))
        case "tool":
            seen.results.append((message["tool_call_id"], _text(message["content"])))
        case role:
            raise Wrong(f"role {role}")


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    need(all(part["type"] == "text" for part in content), "text alone goes here")
    return "".join(part["text"] for part in content)


def _read_user(content: Any, seen: Seen) -> None:
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    for part in parts:
        match part["type"]:
            case "text":
                seen.text = part["text"]
            case "image_url":
                seen.images.append(data_url(part["image_url"]["url"]))
            case "file":
                seen.documents.append(data_url(part["file"]["file_data"]))
            case kind:
                raise Wrong(f"part {kind}")


def data_url(url: str) -> tuple[str, bytes]:
    """Media type and content. Raises Wrong."""
    head, comma, data = url.partition(";base64,")
    need(comma and head.startswith("data:"), f"no data URL: {url[:40]}")
    return head.removeprefix("data:"), base64.b64decode(data, validate=True)


def _usage(reply: Reply) -> Json:
    return {
        "prompt_tokens": INPUT,
        "completion_tokens": reply.output,
        "total_tokens": INPUT + reply.output,
        "prompt_tokens_details": {"cached_tokens": CACHED, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": reply.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _call(call: ToolUse) -> Json:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _logprobs(text: str) -> Json:
    token = {"token": text, "logprob": -0.25, "bytes": list(text.encode())}
    return {"content": [{**token, "top_logprobs": [token]}], "refusal": None}


def _finish(reply: Reply) -> str:
    return {"cut": "length", "filtered": "content_filter", "": "tool_calls" if reply.calls else "stop"}[reply.ended]


def whole(reply: Reply) -> Json:
    message: Json = {"role": "assistant", "content": reply.text or None, "refusal": None, "annotations": []}
    if reply.thoughts:
        message["reasoning_content"] = reply.thoughts
    if reply.calls:
        message["tool_calls"] = [_call(call) for call in reply.calls]
    finish = _finish(reply)
    logprobs = _logprobs(reply.text) if reply.logprobs else None
    return {
        "id": "chatcmpl-9f2",
        "object": "chat.completion",
        "created": CREATED,
        "model": "chat-2026-01-01",
        "choices": [
            {"index": index, "message": message, "logprobs": logprobs, "finish_reason": finish}
            for index in range(reply.several)
        ],
        "usage": _usage(reply),
        "service_tier": "default",
        "system_fingerprint": "fp_44709d6fcb",
    }


def _chunk(delta: Json, finish: str | None = None, **more: Any) -> bytes:
    return event(
        {
            "id": "chatcmpl-9f2",
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": "chat-2026-01-01",
            "service_tier": "default",
            "system_fingerprint": "fp_44709d6fcb",
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
            "obfuscation": "k3Jd",
            **more,
        }
    )


def stream(reply: Reply, received: Received) -> Iterator[bytes]:
    asked = bool((received.json.get("stream_options") or {}).get("include_usage"))
    usage: Json = {"usage": None} if asked else {}
    yield _chunk({"role": "assistant", "content": "", "refusal": None}, **usage)
    for piece in pieces(reply.thoughts):
        yield _chunk({"reasoning_content": piece}, **usage)
    for piece in pieces(reply.text):
        yield _chunk({"content": piece}, **usage)
    for index, call in enumerate(reply.calls):
        yield _chunk(
            {"tool_calls": [{"index": index, **_call(call), "function": {"name": call.name, "arguments": ""}}]}
        )
        for piece in pieces(call.arguments):
            yield _chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}, **usage)
    yield _chunk({}, _finish(reply), **usage)
    if asked:
        yield _chunk({}, choices=[], usage=_usage(reply))
    yield event("[DONE]")


def begun() -> Iterator[bytes]:
    yield _chunk({"role": "assistant", "content": ""})
    for piece in pieces(FAILING):
        yield _chunk({"content": piece})


def failure(message: str) -> bytes:
    """The event of a failure in the midst of a stream."""
    return event(error(message, kind="server_error", code="server_error"))


early = failure  # which is all that comes


def refusal(status: int, message: str) -> Json:
    kinds = {400: "invalid_request_error", 429: "rate_limit_error", 503: "server_error"}
    codes = {429: "rate_limit_exceeded", 503: "overloaded"}
    return error(message, kind=kinds[status], code=codes.get(status), param="messages" if status == 400 else None)
