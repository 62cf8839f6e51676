"""Bodies an OpenAI-type provider would send: small, complete and fixed, for tests to script and to compare with."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

type Json = dict[str, Any]

CREATED = 1_767_225_600  # 2026-01-01T00:00:00Z, Unix seconds
USAGE: Json = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}


def completion(text: str = "Hello", *, model: str = "gpt-test", usage: Mapping[str, Any] = USAGE) -> Json:
    """The body of a buffered chat completion that says `text`."""
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": CREATED,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": dict(usage),
    }


def chunk(delta: Json, *, finish: str | None = None, model: str = "gpt-test", **extra: Any) -> Json:
    """One chunk of a streamed chat completion; `extra` adds or replaces top-level keys."""
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": model,
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
        **extra,
    }


def event(data: Json | str, *, name: str | None = None) -> bytes:
    """One server-sent event as bytes: compact JSON, or `data` as it is when it is text (`[DONE]`)."""
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def error(message: str, *, kind: str = "server_error", code: str | None = None, param: str | None = None) -> Json:
    """OpenAI's error envelope; `kind` is its `type`."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def embeddings(*, model: str = "embed-test", count: int = 1) -> Json:
    """`count` three-dimensional embeddings as floats."""
    data = [{"object": "embedding", "index": index, "embedding": [0.6, 0.0, 0.8]} for index in range(count)]
    return {"object": "list", "data": data, "model": model, "usage": {"prompt_tokens": 4, "total_tokens": 4}}


def response(text: str = "Hello", *, model: str = "gpt-test", status: str = "completed") -> Json:
    """The body of a buffered Responses answer that says `text`; with status `in_progress`, the still empty one."""
    done = status == "completed"
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    item = {"id": "msg_fake", "type": "message", "status": "completed", "role": "assistant", "content": [part]}
    usage = {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 11,
    }
    return {
        "id": "resp_fake",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": [item] if done else [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage if done else None,
    }


def response_events(text: str = "Hello", *, model: str = "gpt-test") -> Iterator[bytes]:
    """The events of a streamed Responses answer that says `text` in one delta, numbered from 0 without gaps."""
    whole = response(text, model=model)
    item = whole["output"][0]
    part = item["content"][0]
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    opening = response(model=model, status="in_progress")
    events: list[tuple[str, Json]] = [
        ("response.created", {"response": opening}),
        ("response.in_progress", {"response": opening}),
        ("response.output_item.added", {"output_index": 0, "item": {**item, "status": "in_progress", "content": []}}),
        ("response.content_part.added", {**place, "part": {**part, "text": ""}}),
        ("response.output_text.delta", {**place, "delta": text, "logprobs": []}),
        ("response.output_text.done", {**place, "text": text, "logprobs": []}),
        ("response.content_part.done", {**place, "part": part}),
        ("response.output_item.done", {"output_index": 0, "item": item}),
        ("response.completed", {"response": whole}),
    ]
    for number, (name, data) in enumerate(events):
        yield event({"type": name, "sequence_number": number, **data}, name=name)
