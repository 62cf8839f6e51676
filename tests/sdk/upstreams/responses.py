"""A provider whose model has OpenAI's Responses alone."""

import json
from collections.abc import Iterator
from typing import Any

from tests.sdk.replies import (
    CACHED,
    CREATED,
    FAILING,
    INPUT,
    PROOF,
    Json,
    Reply,
    Seen,
    ToolUse,
    Wrong,
    need,
    only,
    pieces,
)
from tests.sdk.upstreams.chat import data_url
from tests.support.bodies import error, event
from tests.support.provider import Received

DIALECT = "responses"
PATH = STREAM_PATH = "/responses"
IDS = "call_"
PROVES = TELLS = COUNTS = True
OVERLOAD = 503
_FIELDS = (
    *("model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning", "include"),
    *("max_output_tokens", "temperature", "top_p", "stream", "store", "user", "metadata", "top_logprobs", "truncation"),
)


def read(received: Received) -> Seen:
    body = received.json
    only(body, *_FIELDS)
    seen = Seen(stream=body.get("stream") is True, system=body.get("instructions") or "")
    reasoning = body.get("reasoning") or {}
    only(reasoning, "effort", "summary", at="reasoning.")
    seen.thinks = "effort" in reasoning
    seen.shows_thoughts = seen.thinks and "summary" in reasoning
    need(
        not seen.thinks or "reasoning.encrypted_content" in body.get("include", ()), "thoughts could not be given back"
    )
    seen.logprobs = "message.output_text.logprobs" in body.get("include", ())
    choice = body.get("tool_choice")
    seen.forced = choice["name"] if isinstance(choice, dict) else ""
    form = (body.get("text") or {}).get("format")
    if form is not None and form["type"] != "text":
        only(form, "type", "name", "schema", "strict", "description", at="text.format.")
        need(form["type"] == "json_schema" and form["name"], "text.format")
        seen.schema = form["schema"]
    for tool in body.get("tools", ()):
        only(tool, "type", "name", "description", "parameters", "strict", at="tools.")
        seen.tools[tool["name"]] = tool["parameters"]
    items = body["input"]
    for item in [{"role": "user", "content": items}] if isinstance(items, str) else items:
        _read_item(item, seen)
    return seen


def _read_item(item: Json, seen: Seen) -> None:
    match item.get("type", "message"):
        case "message" if item["role"] in ("system", "developer"):
            seen.system = _joined(item["content"])
        case "message" if item["role"] == "user":
            _read_user(item["content"], seen)
        case "message":
            need(all(part["type"] in ("output_text", "refusal") for part in item["content"]), "what an assistant says")
        case "reasoning":
            need(item["summary"] is not None, "reasoning.summary")
            seen.proof = item.get("encrypted_content") or ""
            need(not seen.calls, "thoughts come before their calls")
        case "function_call":
            need(isinstance(json.loads(item["arguments"]), dict), "arguments")
            seen.calls.append(ToolUse(item["call_id"], item["name"], item["arguments"]))
        case "function_call_output":
            seen.results.append((item["call_id"], _joined(item["output"])))
        case kind:
            raise Wrong(f"item {kind}")


def _joined(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _read_user(content: Any, seen: Seen) -> None:
    for part in [{"type": "input_text", "text": content}] if isinstance(content, str) else content:
        match part["type"]:
            case "input_text":
                seen.text = part["text"]
            case "input_image":
                seen.images.append(data_url(part["image_url"]))
            case "input_file":
                seen.documents.append(data_url(part["file_data"]))
            case kind:
                raise Wrong(f"part {kind}")


def _items(reply: Reply) -> list[Json]:
    items: list[Json] = []
    if reply.proof:
        summary = [{"type": "summary_text", "text": reply.thoughts}] if reply.thoughts else []
        items.append({"id": "rs_1", "type": "reasoning", "summary": summary, "encrypted_content": PROOF})
    if reply.text:
        logprobs: list[Json] = []
        if reply.logprobs:
            token = {"token": reply.text, "logprob": -0.25, "bytes": list(reply.text.encode())}
            logprobs = [{**token, "top_logprobs": [token]}]
        part = {"type": "output_text", "text": reply.text, "annotations": [], "logprobs": logprobs}
        items.append({"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [part]})
    for number, call in enumerate(reply.calls):
        named = {"id": f"fc_{number}", "type": "function_call", "status": "completed"}
        items.append({**named, "call_id": call.id, "name": call.name, "arguments": call.arguments})
    return items


_REASONS = {"cut": "max_output_tokens", "filtered": "content_filter"}


def whole(reply: Reply, *, status: str = "completed", items: list[Json] | None = None) -> Json:
    is_begun = status == "in_progress"
    if reply.ended:
        status = "incomplete"
    usage = {
        "input_tokens": INPUT,
        "input_tokens_details": {"cached_tokens": CACHED, "cache_write_tokens": 0},
        "output_tokens": reply.output,
        "output_tokens_details": {"reasoning_tokens": reply.reasoning},
        "total_tokens": INPUT + reply.output,
    }
    return {
        "id": "resp_68",
        "object": "response",
        "created_at": CREATED,
        "completed_at": CREATED + 1 if status == "completed" else None,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": _REASONS[reply.ended]} if reply.ended else None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "model": "gpt-5-pro-2025-10-06",
        "output": _items(reply) if items is None else items,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": "high", "summary": None},
        "safety_identifier": None,
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None if is_begun else usage,
        "user": None,
        "metadata": {},
    }


class _Numbered:
    """Events under their names, counted from 0."""

    def __init__(self) -> None:
        self._next = 0

    def __call__(self, kind: str, **data: Any) -> bytes:
        made = event({"type": kind, "sequence_number": self._next, **data}, name=kind)
        self._next += 1
        return made


def _opening(say: _Numbered) -> Iterator[bytes]:
    nothing = whole(Reply(), status="in_progress", items=[])
    yield say("response.created", response=nothing)
    yield say("response.in_progress", response=nothing)


def stream(reply: Reply, received: Received) -> Iterator[bytes]:
    say = _Numbered()
    yield from _opening(say)
    for index, item in enumerate(_items(reply)):
        told = {"reasoning": _thinking, "message": _message, "function_call": _function}[item["type"]]
        yield from told(say, index, item)
        yield say("response.output_item.done", output_index=index, item=item)
    yield say("response.incomplete" if reply.ended else "response.completed", response=whole(reply))


def _thinking(say: _Numbered, index: int, item: Json) -> Iterator[bytes]:
    yield say("response.output_item.added", output_index=index, item={**item, "summary": [], "encrypted_content": "x"})
    for number, part in enumerate(item["summary"]):
        at = {"item_id": item["id"], "output_index": index, "summary_index": number}
        yield say("response.reasoning_summary_part.added", **at, part={**part, "text": ""})
        for piece in pieces(part["text"]):
            yield say("response.reasoning_summary_text.delta", **at, delta=piece, obfuscation="x7")
        yield say("response.reasoning_summary_text.done", **at, text=part["text"])
        yield say("response.reasoning_summary_part.done", **at, part=part)


def _message(say: _Numbered, index: int, item: Json) -> Iterator[bytes]:
    (part,) = item["content"]
    at = {"item_id": item["id"], "output_index": index, "content_index": 0}
    yield say("response.output_item.added", output_index=index, item={**item, "status": "in_progress", "content": []})
    yield say("response.content_part.added", **at, part={**part, "text": "", "logprobs": []})
    for piece in pieces(part["text"]):
        yield say("response.output_text.delta", **at, delta=piece, logprobs=[], obfuscation="x7")
    yield say("response.output_text.done", **at, text=part["text"], logprobs=[])
    yield say("response.content_part.done", **at, part=part)


def _function(say: _Numbered, index: int, item: Json) -> Iterator[bytes]:
    at = {"item_id": item["id"], "output_index": index}
    begun = {**item, "status": "in_progress", "arguments": ""}
    yield say("response.output_item.added", output_index=index, item=begun)
    for piece in pieces(item["arguments"]):
        yield say("response.function_call_arguments.delta", **at, delta=piece, obfuscation="x7")
    yield say("response.function_call_arguments.done", **at, arguments=item["arguments"], name=item["name"])


def begun() -> Iterator[bytes]:
    say = _Numbered()
    yield from _opening(say)
    (item,) = _items(Reply(text=FAILING))
    yield from list(_message(say, 0, item))[:-2]


def failure(message: str) -> bytes:
    """The event of a failure in the midst of a stream."""
    error = {"code": "server_error", "message": message}
    response = {**whole(Reply(), status="failed", items=[]), "error": error}
    return event({"type": "response.failed", "sequence_number": 99, "response": response}, name="response.failed")


def early(message: str) -> bytes:
    """The event that comes before there is a response at all."""
    return event(
        {"type": "error", "sequence_number": 0, "code": "server_error", "message": message, "param": None}, name="error"
    )


def refusal(status: int, message: str) -> Json:
    kinds = {400: "invalid_request_error", 429: "rate_limit_error", 503: "server_error"}
    codes = {429: "rate_limit_exceeded", 503: "overloaded"}
    return error(message, kind=kinds[status], code=codes.get(status), param="input" if status == 400 else None)
