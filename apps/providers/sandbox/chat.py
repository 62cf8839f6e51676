"""POST /v1/chat/completions."""

from collections.abc import Iterator
from itertools import zip_longest

import orjson

from apps.providers.sandbox.ask import (
    MESSAGE_TOKENS,
    MOST_TOKENS,
    Ask,
    Tool,
    choice_of,
    content_of,
    reasoning_of,
    seed_of,
    tokens,
    tool_of,
)
from apps.providers.sandbox.catalogue import SandboxModel
from apps.providers.sandbox.errors import ApiError, missing, wrong_value
from apps.providers.sandbox.fields import Fields, Json
from apps.providers.sandbox.replies import Said, answer, pieces
from apps.providers.sandbox.reply import CREATED, FINGERPRINT, STREAM_ERROR, Reply, stream, whole

_ROLES = ("system", "developer", "user", "assistant", "tool", "function")


def reply(fields: Fields, model: SandboxModel, chunks: int | None) -> Reply:
    """Answer a chat completion request; `chunks` is how many tokens the text has to have, if anyone said."""
    ask = ask_of(fields, model)
    count = fields.integer("n", 1, 128) or 1
    said = [answer(ask, index, chunks=chunks) for index in range(count)]
    top = fields.integer("top_logprobs", 0, 20)
    logprobs = fields.boolean("logprobs")
    if top is not None and not logprobs:
        raise ApiError(
            400, "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.", param="top_logprobs"
        )
    usage = _usage(ask, said) if model.behaviour.usage else None
    options = fields.object("stream_options")
    if not fields.boolean("stream"):
        if options:
            message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
            raise ApiError(400, message, param="stream_options")
        return whole(_completion(ask, said, usage, logprobs=logprobs))
    asked = usage if options and options.boolean("include_usage") else None
    return stream(list(_events(ask, said, asked, logprobs=logprobs)), lambda _: _ERROR_EVENT)


def ask_of(fields: Fields, model: SandboxModel) -> Ask:
    """Read and check the request. Raises ApiError 400."""
    if fields.json.get("messages") is None:
        raise missing("messages")
    messages = fields.objects("messages")
    if not messages:
        message = (
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead."
        )
        raise ApiError(400, message, param="messages", code="empty_array")
    prompt, user_text, results, calls_open = 3, "", list[str](), False
    for each in messages:
        role = each.choice("role", _ROLES)
        if role is None:
            raise missing(each.named("role"))
        calls = each.objects("tool_calls")
        text, media = content_of(each, required=role != "assistant")
        prompt += MESSAGE_TOKENS + tokens(text) + media
        prompt += sum(tokens(orjson.dumps(call.json).decode()) for call in calls)
        match role:
            case "user":
                user_text, results, calls_open = text, [], False
            case "assistant":
                results, calls_open = [], bool(calls)
            case "tool":
                each.required_text("tool_call_id")
                if not calls_open:
                    raise ApiError(
                        400,
                        "Invalid parameter: messages with role 'tool' must be a response to a preceding message with "
                        "'tool_calls'.",
                        param=each.named("role"),
                    )
                results.append(text)
    tools = [_tool(each) for each in fields.objects("tools") if _is_function(each)]
    if fields.json.get("tools"):
        prompt += tokens(orjson.dumps(fields.json["tools"]).decode())
    choice, offered = choice_of(fields, tools)
    form = _format(fields)
    for name, low, high in (
        ("temperature", 0, 2),
        ("top_p", 0, 1),
        ("frequency_penalty", -2, 2),
        ("presence_penalty", -2, 2),
    ):
        fields.number(name, low, high)
    limit = fields.integer("max_completion_tokens", 1, MOST_TOKENS) or fields.integer("max_tokens", 1, MOST_TOKENS)
    asked = [fields.json.get(name) for name in ("messages", "tools", "tool_choice", "response_format", "seed")]
    return Ask(
        model=model,
        seed=seed_of("chat", asked),
        prompt_tokens=prompt,
        user_text=user_text,
        results=tuple(results),
        tools=offered,
        choice=choice,
        parallel=fields.boolean("parallel_tool_calls", default=True),
        wants_json=form is not None,
        schema=(form or {}).get("schema"),
        limit=limit,
        stop=fields.texts("stop", 4),
        reasoning_tokens=reasoning_of(fields.text("reasoning_effort")),
    )


def _tool(fields: Fields) -> Tool:
    function = fields.object("function")
    if function is None:
        raise missing(fields.named("function"))
    return tool_of(function)


def _is_function(tool: Fields) -> bool:
    """Custom tools are accepted and never called."""
    kind = tool.choice("type", ("function", "custom"))
    if kind is None:
        raise missing(tool.named("type"))
    return kind == "function"


def _format(fields: Fields) -> Json | None:
    """`response_format`: None for text, else the json_schema part, empty for any JSON."""
    form = fields.object("response_format")
    kind = form.choice("type", ("text", "json_object", "json_schema")) if form else "text"
    if form is None or kind == "text":
        return None
    if kind is None:
        raise missing("response_format.type")
    if kind == "json_object":
        return {}
    definition = form.object("json_schema")
    if definition is None:
        raise missing("response_format.json_schema")
    definition.required_text("name")
    schema = definition.object("schema")
    if schema is None:
        raise missing("response_format.json_schema.schema")
    if definition.boolean("strict") and schema.json.get("type") not in ("object", None):
        raise wrong_value("response_format", schema.json.get("type"), "A strict schema must be of type 'object'.")
    return {"schema": schema.json}


def _usage(ask: Ask, said: list[Said]) -> Json:
    output = sum(each.output_tokens for each in said)
    return {
        "prompt_tokens": ask.prompt_tokens,
        "completion_tokens": output,
        "total_tokens": ask.prompt_tokens + output,
        "prompt_tokens_details": {"cached_tokens": ask.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": sum(each.reasoning_tokens for each in said),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _logprobs(parts: list[str]) -> Json:
    """Every token of ours was certain."""
    content = [{"token": part, "logprob": 0.0, "bytes": list(part.encode()), "top_logprobs": []} for part in parts]
    return {"content": content, "refusal": None}


def _id(ask: Ask) -> str:
    return f"chatcmpl-sandbox-{ask.seed.hex()}"


def _completion(ask: Ask, said: list[Said], usage: Json | None, *, logprobs: bool) -> Json:
    choices = []
    for index, each in enumerate(said):
        message: Json = {
            "role": "assistant",
            "content": None if each.calls else each.text,
            "refusal": None,
            "annotations": [],
        }
        if each.calls:
            message["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in each.calls
            ]
        found = _logprobs(pieces(each.text)) if logprobs and not each.calls else None
        choices.append({"index": index, "message": message, "logprobs": found, "finish_reason": each.finish})
    body: Json = {
        "id": _id(ask),
        "object": "chat.completion",
        "created": CREATED,
        "model": ask.model.name,
        "choices": choices,
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    }
    return {**body, "usage": usage} if usage else body


def _events(ask: Ask, said: list[Said], usage: Json | None, *, logprobs: bool) -> Iterator[bytes]:
    """The chunks: a role each, the choices' pieces in turn, a finish each, usage if it was asked for, the end mark."""
    opening: Json = {"id": _id(ask), "object": "chat.completion.chunk", "created": CREATED, "model": ask.model.name}
    opening |= {"service_tier": "default", "system_fingerprint": FINGERPRINT}
    head = b"data: " + orjson.dumps(opening)[:-1] + b',"choices":['
    tail = b'],"usage":null}\n\n' if usage else b"]}\n\n"

    def chunk(index: int, delta: Json, finish: str | None = None, found: Json | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": found, "finish_reason": finish}
        return head + orjson.dumps(choice) + tail

    for deltas in zip_longest(*(_deltas(each) for each in said)):
        for index, delta in enumerate(deltas):
            if delta is not None:
                text = delta.get("content")
                yield chunk(index, delta, found=_logprobs([text]) if logprobs and text else None)
    for index, each in enumerate(said):
        yield chunk(index, {}, each.finish)
    if usage:
        yield head + b'],"usage":' + orjson.dumps(usage) + b"}\n\n"
    yield b"data: [DONE]\n\n"


def _deltas(said: Said) -> Iterator[Json]:
    if not said.calls:
        yield {"role": "assistant", "content": "", "refusal": None}
        for piece in pieces(said.text):
            yield {"content": piece}
        return
    yield {"role": "assistant", "content": None, "refusal": None}
    for index, call in enumerate(said.calls):
        # Identity comes once: clients that accumulate join repeated strings.
        identity = {"index": index, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        yield {"tool_calls": [identity]}
        for piece in pieces(call.arguments):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


_ERROR_EVENT = (
    b"data: "
    + orjson.dumps({"error": {"message": STREAM_ERROR, "type": "server_error", "param": None, "code": "server_error"}})
    + b"\n\n"
)
