"""A chat that is relayed, as its provider takes it. Pure.

The same meaning in the words that the provider knows, as `apps.providers.quirks` has it for requests of all kinds; here for what
chats alone have. Nothing that a caller asks for is left out, and what a provider takes is sent as it came.
"""

from typing import Any

import msgspec
import orjson

from apps.providers.told_json import loads
from apps.providers.translation.chat.providers import Habits, habits_named
from apps.providers.translation.form import Json

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_SEED = "seed"


def suited_chat(body: bytes, provider: str) -> bytes:
    """The same request as this provider takes it; mostly the same bytes."""
    habits = habits_named(provider)
    wanted = {name for name, word in _WORDS if word in body and _differs(habits, name)}
    if not wanted:
        return body
    fields = _decode_fields(body)
    changed: Json = {}
    if "schema" in wanted:
        _take_schema(fields, changed)
    if "tool" in wanted:
        _take_tool(fields, changed, habits.forced)
    if "seed" in wanted and _SEED in fields and habits.seed not in fields:
        fields[habits.seed] = fields.pop(_SEED)
    if wanted & {"document", "thoughts", "nothing"}:
        _take_messages(fields, changed, habits)
    if changed:
        fields |= {name: msgspec.Raw(orjson.dumps(value)) for name, value in changed.items()}
    return b"{" + b",".join(orjson.dumps(name) + b":" + bytes(raw) for name, raw in fields.items()) + b"}"


# What a request must hold for there to be something to do.
_WORDS = (
    ("schema", b'"json_schema"'),
    ("tool", b'"tool_choice"'),
    ("seed", b'"seed"'),
    ("document", b'"file_data"'),
    ("thoughts", b'"reasoning_content"'),
    ("nothing", b'"refusal"'),
)
# What OpenAI's clients have in a message that they give back, also where there is nothing in it.
_NOTHING = ("refusal", "annotations", "audio", "function_call")


def _differs(habits: Habits, name: str) -> bool:
    match name:
        case "schema":
            return habits.schemas == "json_object"
        case "tool":
            return bool(habits.forced) and "named_tool" not in habits.takes
        case "seed":
            return habits.seed != _SEED
        case "document":
            return habits.documents == "document_url"
        case "thoughts":
            return habits.returns == "parts"
        case _:
            return habits.is_strict_in_fields


def _read(fields: dict[str, msgspec.Raw], name: str) -> Any:
    raw = fields.get(name)
    return None if raw is None else loads(bytes(raw))


def _take_schema(fields: dict[str, msgspec.Raw], changed: Json) -> None:
    form = _read(fields, "response_format")
    shape = form.get("json_schema") if isinstance(form, dict) else None
    if isinstance(shape, dict) and isinstance(shape.get("schema"), dict):
        changed["response_format"] = {"type": "json_object", "schema": shape["schema"]}


def _take_tool(fields: dict[str, msgspec.Raw], changed: Json, forced: str) -> None:
    """One tool that must be called is the only one on offer, and one must be called."""
    choice, tools = _read(fields, "tool_choice"), _read(fields, "tools")
    name = _function_name(choice)
    if not name or not isinstance(tools, list):
        return
    named = [tool for tool in tools if _function_name(tool) == name]
    if named:
        changed |= {"tools": named, "tool_choice": forced}


def _function_name(said: Any) -> str:
    function = said.get("function") if isinstance(said, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else ""


def _take_messages(fields: dict[str, msgspec.Raw], changed: Json, habits: Habits) -> None:
    messages = _read(fields, "messages")
    if not isinstance(messages, list):
        return
    for message in messages:
        if isinstance(message, dict):
            if habits.returns == "parts":
                _take_thoughts(message)
            if habits.is_strict_in_fields:
                for name in _NOTHING:
                    if name in message and not message[name]:
                        del message[name]
            content = message.get("content")
            if isinstance(content, list) and habits.documents == "document_url":
                message["content"] = [_document(part) for part in content]
    changed["messages"] = messages


def _take_thoughts(message: Json) -> None:
    """Thoughts that a client gives back: as the part of the content that they were."""
    if message.get("role") != "assistant" or "reasoning_content" not in message:
        return
    text = message.pop("reasoning_content")
    content = message.get("content")
    if isinstance(text, str) and text and (content is None or isinstance(content, str)):
        message["content"] = thoughts_first(text, content or "")


def thoughts_first(thoughts: str, text: str) -> list[Json]:
    """The content of a message that holds thoughts, and what was said after them."""
    parts: list[Json] = [{"type": "thinking", "thinking": [{"type": "text", "text": thoughts}]}]
    return [*parts, {"type": "text", "text": text}] if text else parts


def _document(part: Any) -> Any:
    file = part.get("file") if isinstance(part, dict) and part.get("type") == "file" else None
    if not isinstance(file, dict) or not isinstance(file.get("file_data"), str):
        return part
    name = file.get("filename")
    named = {"document_name": name} if isinstance(name, str) and name else {}
    return {"type": "document_url", "document_url": file["file_data"], **named}
