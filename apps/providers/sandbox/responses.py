"""POST /v1/responses. The sandbox keeps nothing, so there is no earlier response to continue or to fetch."""

from collections.abc import Iterator

import orjson

from apps.providers.sandbox.ask import (
    MESSAGE_TOKENS,
    MOST_TOKENS,
    REASONING_TOKENS,
    Ask,
    choice_of,
    content_of,
    reasoning_of,
    seed_of,
    tokens,
    tool_of,
)
from apps.providers.sandbox.catalogue import SandboxModel
from apps.providers.sandbox.errors import ApiError, missing, wrong_type
from apps.providers.sandbox.fields import Fields, Json
from apps.providers.sandbox.replies import Said, answer, pieces
from apps.providers.sandbox.reply import CREATED, STREAM_ERROR, Reply, stream, whole

_ROLES = ("user", "assistant", "system", "developer")
_TOOL: Json = {"description": None, "parameters": None, "strict": True}  # what a function is echoed with if it lacks it


def reply(fields: Fields, model: SandboxModel, chunks: int | None) -> Reply:
    """Answer a Responses request; `chunks` is how many tokens the text has to have, if anyone said."""
    ask = ask_of(fields, model)
    said = answer(ask, chunks=chunks)
    body = _response(fields, ask, said)
    if fields.boolean("stream"):
        return stream(list(_numbered(_events(body, said))), _error_event)
    return whole(body)


def ask_of(fields: Fields, model: SandboxModel) -> Ask:
    """Read and check the request. Raises ApiError 400."""
    if earlier := fields.text("previous_response_id"):
        message = f"Previous response with id '{earlier}' not found. (The sandbox keeps no responses.)"
        raise ApiError(400, message, param="previous_response_id", code="previous_response_not_found")
    if fields.boolean("background"):
        raise ApiError(400, "The sandbox does not answer in the background.", param="background")
    instructions = fields.text("instructions") or ""
    prompt = 3 + (MESSAGE_TOKENS + tokens(instructions) if instructions else 0)
    user_text, results = "", list[str]()
    items = _items(fields)
    for item in items:
        kind = item.text("type") or "message"
        if kind == "message":
            role = item.choice("role", _ROLES)
            if role is None:
                raise missing(item.named("role"))
            text, media = content_of(item)
            prompt += MESSAGE_TOKENS + tokens(text) + media
            results = []
            if role == "user":
                user_text = text
        elif kind == "function_call_output":
            item.required_text("call_id")
            text, media = content_of(item, "output")
            prompt += MESSAGE_TOKENS + tokens(text) + media
            results.append(text)
        else:  # calls, reasoning and the items of built-in tools: carried along, and counted
            prompt += MESSAGE_TOKENS + tokens(orjson.dumps(item.json).decode())
    tools = [tool_of(each) for each in fields.objects("tools") if each.required_text("type") == "function"]
    if fields.json.get("tools"):
        prompt += tokens(orjson.dumps(fields.json["tools"]).decode())
    choice, offered = choice_of(fields, tools)
    form = _format(fields)
    fields.number("temperature", 0, 2)
    fields.number("top_p", 0, 1)
    reasoning = fields.object("reasoning")
    effort = reasoning.choice("effort", tuple(REASONING_TOKENS)) if reasoning else None
    asked = [fields.json.get(name) for name in ("input", "instructions", "tools", "tool_choice", "text")]
    return Ask(
        model=model,
        seed=seed_of("responses", asked),
        prompt_tokens=prompt,
        user_text=user_text,
        results=tuple(results),
        tools=offered,
        choice=choice,
        parallel=fields.boolean("parallel_tool_calls", default=True),
        wants_json=form is not None,
        schema=(form or {}).get("schema"),
        limit=fields.integer("max_output_tokens", 16, MOST_TOKENS),
        reasoning_tokens=reasoning_of(effort),
    )


def _items(fields: Fields) -> list[Fields]:
    value = fields.json.get("input")
    if value is None:
        raise missing("input")
    if isinstance(value, str):
        return [Fields({"role": "user", "content": value}, "input")]
    if not isinstance(value, list):
        raise wrong_type("input", "a string or an array of items", value)
    return fields.objects("input")


def _format(fields: Fields) -> Json | None:
    """`text.format`: None for text, else what it holds about JSON."""
    text = fields.object("text")
    form = text.object("format") if text else None
    kind = form.choice("type", ("text", "json_object", "json_schema")) if form else "text"
    if form is None or kind == "text":
        return None
    if kind is None:
        raise missing("text.format.type")
    if kind == "json_object":
        return {}
    form.required_text("name")
    schema = form.object("schema")
    if schema is None:
        raise missing("text.format.schema")
    return {"schema": schema.json}


def _response(fields: Fields, ask: Ask, said: Said) -> Json:
    """The finished response: every field that OpenAI sends, the request's own where it gave them."""
    asked, key = fields.json, ask.seed.hex()
    reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(said.finish)
    status = "incomplete" if reason else "completed"
    reasoning, text = asked.get("reasoning") or {}, asked.get("text") or {}
    tools = [{**_TOOL, **tool} if tool.get("type") == "function" else tool for tool in asked.get("tools") or []]
    body: Json = {
        "id": f"resp_sandbox_{key}",
        "object": "response",
        "created_at": CREATED,
        "completed_at": None if reason else CREATED,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": asked.get("instructions"),
        "max_output_tokens": ask.limit,
        "max_tool_calls": asked.get("max_tool_calls"),
        "model": ask.model.name,
        "output": _output(said, key, status),
        "parallel_tool_calls": ask.parallel,
        "previous_response_id": None,
        "prompt_cache_key": asked.get("prompt_cache_key"),
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "safety_identifier": asked.get("safety_identifier"),
        "service_tier": "default",
        "store": False,
        "temperature": _given(asked, "temperature", 1.0),
        "text": {"format": text.get("format") or {"type": "text"}, "verbosity": text.get("verbosity") or "medium"},
        "tool_choice": _given(asked, "tool_choice", "auto"),
        "tools": tools,
        "top_logprobs": _given(asked, "top_logprobs", 0),
        "top_p": _given(asked, "top_p", 1.0),
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "truncation": _given(asked, "truncation", "disabled"),
        "user": asked.get("user"),
        "metadata": asked.get("metadata") or {},
        "usage": None,
    }
    if ask.model.behaviour.usage:
        body["usage"] = {
            "input_tokens": ask.prompt_tokens,
            "input_tokens_details": {"cached_tokens": ask.cached_tokens, "cache_write_tokens": 0},
            "output_tokens": said.output_tokens,
            "output_tokens_details": {"reasoning_tokens": said.reasoning_tokens},
            "total_tokens": ask.prompt_tokens + said.output_tokens,
        }
    return body


def _given(asked: Json, name: str, default: object) -> object:
    value = asked.get(name)
    return default if value is None else value


def _output(said: Said, key: str, status: str) -> list[Json]:
    if said.calls:
        return [
            {
                "id": f"fc_{call.id.removeprefix('call_')}",
                "type": "function_call",
                "status": "completed",
                "arguments": call.arguments,
                "call_id": call.id,
                "name": call.name,
            }
            for call in said.calls
        ]
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": said.text}
    return [{"id": f"msg_{key}", "type": "message", "status": status, "content": [part], "role": "assistant"}]


def _numbered(events: Iterator[Json]) -> Iterator[bytes]:
    for number, event in enumerate(events):
        yield _event({"type": event["type"], "sequence_number": number, **event})


def _event(data: Json) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (data["type"].encode(), orjson.dumps(data))


def _events(body: Json, said: Said) -> Iterator[Json]:
    """The events of a stream in OpenAI's order, not yet numbered."""
    opening = {
        **body,
        "status": "in_progress",
        "completed_at": None,
        "incomplete_details": None,
        "output": [],
        "usage": None,
    }
    yield {"type": "response.created", "response": opening}
    yield {"type": "response.in_progress", "response": opening}
    for index, item in enumerate(body["output"]):
        empty: Json = {"content": []} if item["type"] == "message" else {"arguments": ""}
        yield {
            "type": "response.output_item.added",
            "output_index": index,
            "item": {**item, **empty, "status": "in_progress"},
        }
        yield from _text(item, index, said.text) if item["type"] == "message" else _arguments(item, index)
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": f"response.{body['status']}", "response": body}


def _text(item: Json, index: int, text: str) -> Iterator[Json]:
    place = {"item_id": item["id"], "output_index": index, "content_index": 0}
    part = item["content"][0]
    yield {"type": "response.content_part.added", **place, "part": {**part, "text": ""}}
    for piece in pieces(text):
        yield {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **place, "text": text, "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": part}


def _arguments(item: Json, index: int) -> Iterator[Json]:
    place = {"item_id": item["id"], "output_index": index}
    for piece in pieces(item["arguments"]):
        yield {"type": "response.function_call_arguments.delta", **place, "delta": piece}
    yield {
        "type": "response.function_call_arguments.done",
        **place,
        "name": item["name"],
        "arguments": item["arguments"],
    }


def _error_event(number: int) -> bytes:
    """What follows `number` events when the stream fails."""
    fault = {"code": "server_error", "message": STREAM_ERROR, "param": None}
    return _event({"type": "error", "sequence_number": number, **fault})
