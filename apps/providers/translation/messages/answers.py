"""Whole answers: read from Anthropic, and written for its clients. Pure."""

from typing import Any

import orjson

from apps.providers.told_json import loads
from apps.providers.translation.form import (
    Answer,
    Choice,
    Image,
    Json,
    Part,
    Refusal,
    Request,
    Text,
    Thinking,
    ToolCall,
)
from apps.providers.translation.media import data_url
from apps.providers.translation.messages.citations import citation_json, read_citations
from apps.providers.translation.messages.counts import usage_json
from apps.providers.translation.messages.errors import failed_of
from apps.providers.translation.messages.words import NAME, finish_of, stop_reason
from apps.providers.translation.signatures import carried
from apps.providers.translation.spoken import Shown
from apps.providers.translation.told import text_of
from apps.providers.translation.tool_ids import invented_id
from apps.providers.usage import anthropic_usage

_BYTES_PER_TOKEN = 4


def read_answer(body: bytes) -> Answer:
    """The answer. Raises ValueError for what is none."""
    value = loads(body)
    if not isinstance(value, dict):
        raise ValueError("an answer is a JSON object")  # noqa: TRY004  # Spoken promises ValueError for all of them
    if value.get("type") == "error" or isinstance(value.get("error"), dict):
        return Answer(choices=[], error=failed_of(value))
    content = value.get("content")
    if not isinstance(content, list):
        raise ValueError("an answer has a list of content blocks")  # noqa: TRY004  # as above
    raw = value.get("usage")
    answer_id = text_of(value.get("id"))
    parts: list[Part] = []
    calls = 0
    for block in content:
        if not isinstance(block, dict):
            continue
        if block.get("type") == "tool_use":
            parts.append(_read_call(block, answer_id, calls))
            calls += 1
        else:
            parts += _read_block(block)
    if explanation := refusal_of(value.get("stop_details")):
        parts.append(Refusal(explanation))
    return Answer(
        choices=[
            Choice(
                parts=parts,
                finish=finish_of(value.get("stop_reason")),
                stopped_by=text_of(value.get("stop_sequence")),
            )
        ],
        id=answer_id,
        model=text_of(value.get("model")),
        usage=anthropic_usage(raw) if isinstance(raw, dict) else None,
        service_tier=text_of(raw.get("service_tier")) if isinstance(raw, dict) else "",
    )


def refusal_of(details: object) -> str:
    """What `stop_details` says about a refusal; empty if nothing."""
    return text_of(details.get("explanation")) if isinstance(details, dict) else ""


def arguments_of(given: object) -> str:
    """A tool's whole input as JSON text. Raises ValueError if it is too deep."""
    try:
        return orjson.dumps(given).decode() if isinstance(given, dict) and given else "{}"
    except TypeError as exc:
        raise ValueError("a tool's input is nested too deeply") from exc


def call_id(given: object, answer_id: str, place: int) -> str:
    """The id of a call, or one that is made of the answer's where the provider gives none."""
    return text_of(given) or invented_id(answer_id, 0, place)


def _read_call(block: Json, answer_id: str, place: int) -> ToolCall:
    arguments = arguments_of(block.get("input"))
    return ToolCall(id=call_id(block.get("id"), answer_id, place), name=text_of(block.get("name")), arguments=arguments)


def _read_block(block: Json) -> list[Part]:
    """What a block says; nothing for those of tools that run at Anthropic, and for unknown ones."""
    match block.get("type"):
        case "text":
            text = text_of(block.get("text"))
            return [Text(text, citations=read_citations(block.get("citations"), 0, len(text)))] if text else []
        case "thinking":
            signature = text_of(block.get("signature"))
            return [
                Thinking(text=text_of(block.get("thinking")), signature=signature, origin=NAME if signature else "")
            ]
        case "redacted_thinking":
            return [Thinking(signature=text_of(block.get("data")), origin=NAME, redacted=True)]
        case _:
            return []


# --- For clients ---


def write_answer(answer: Answer, _request: Request, shown: Shown) -> bytes:
    """The body of a message, of the first choice: clients of this dialect ask for one."""
    choice = answer.choices[0] if answer.choices else Choice()
    content: list[Json] = []
    calls = 0
    for part in choice.parts:
        if isinstance(part, ToolCall):
            content += _call(part, shown, calls)
            calls += 1
        else:
            content += _block(part)
    stop = stop_reason(choice.finish, has_calls=calls > 0, stopped_by=choice.stopped_by)
    message: Json = {
        "id": message_id(shown),
        "type": "message",
        "role": "assistant",
        "model": shown.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": choice.stopped_by or None if stop == "stop_sequence" else None,
        "stop_details": stop_details(stop),
    }
    written = -(-len(orjson.dumps(content)) // _BYTES_PER_TOKEN) if content else 0
    message["usage"] = usage_json(answer.usage, input_tokens=shown.input_tokens, output_tokens=written)
    return orjson.dumps(message)


def message_id(shown: Shown) -> str:
    """The id of a message."""
    return f"msg_{shown.id}"


def stop_details(stop: str) -> Json | None:
    """What is said beside a stop reason: of a refusal, that nothing more is known."""
    return {"type": "refusal", "category": None, "explanation": None} if stop == "refusal" else None


def thought_block(text: str, signature: str, origin: str, *, redacted: bool) -> Json:
    """Thoughts as clients keep and return them, whoever has signed them."""
    kept = carried(signature, origin, NAME)
    if redacted and kept:
        return {"type": "redacted_thinking", "data": kept}
    return {"type": "thinking", "thinking": text, "signature": kept}


def picture_text(image: Image) -> str:
    """A picture that a model has made: clients of this dialect read none, so it is text that many of them show."""
    address = image.url or (data_url(image.media_type or "image/png", image.data) if image.data else "")
    return f"![image]({address})" if address else ""


def own_id(shown: Shown, place: int) -> str:
    """The id of a call that the provider has given none."""
    return f"toolu_{shown.id}_{place}"


def _block(part: Part) -> list[Json]:
    match part:
        case Text():
            block: Json = {"type": "text", "text": part.text}
            if citations := [found for each in part.citations if (found := citation_json(each)) is not None]:
                block["citations"] = citations
            return [block] if part.text else []
        case Refusal():
            return [{"type": "text", "text": part.text}] if part.text else []
        case Thinking():
            if not part.text and not part.signature:
                return []
            return [thought_block(part.text, part.signature, part.origin, redacted=part.redacted)]
        case Image():
            text = picture_text(part)
            return [{"type": "text", "text": text}] if text else []
        case _:
            return []


def _call(call: ToolCall, shown: Shown, place: int) -> list[Json]:
    block: Json = {
        "type": "tool_use",
        "id": call.id or own_id(shown, place),
        "name": call.name,
        "input": _input(call),
    }
    if not call.signature:
        return [block]
    return [thought_block("", call.signature, call.origin, redacted=False), block]


def _input(call: ToolCall) -> orjson.Fragment | dict[str, Any]:
    """The arguments as an object, which clients insist on: what is none is kept as its only field."""
    try:
        value = orjson.loads(call.arguments or "{}")
    except orjson.JSONDecodeError:
        value = None
    return orjson.Fragment(call.arguments or "{}") if isinstance(value, dict) else {"input": call.arguments}
