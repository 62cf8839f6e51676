"""Reading the `messages` of a chat request. Pure."""

from typing import Any

from apps.providers.translation.chat.parts_read import MARKS, image_of, read_cache, read_citation, read_content
from apps.providers.translation.chat.thoughts import read_call_signature, read_thoughts
from apps.providers.translation.fields import Fields, Unkept, json_bytes
from apps.providers.translation.form import Citation, Image, Message, Part, Refusal, Text, ToolCall, ToolResult

_ROLES = "system, developer, user, assistant or tool"


def read_messages(request: Fields, unkept: Unkept) -> tuple[list[Text], list[Message]]:
    """Instructions before the first turn, and the turns. Results of tools that follow each other are one turn.

    Raises BadRequest naming the field.
    """
    if not request.has("messages"):
        raise request.missing("messages")
    conversation = _Conversation(unkept)
    for message in request.objects("messages"):
        conversation.add(message)
    return conversation.system, conversation.messages


class _Conversation:
    """The messages read so far, and the calls of tools among them."""

    def __init__(self, unkept: Unkept) -> None:
        self.system: list[Text] = []
        self.messages: list[Message] = []
        self._unkept = unkept
        self._names: dict[str, str] = {}  # of called tools, by the call's id
        self._unanswered: dict[str, str] = {}  # id of the last call of a function in the older form, by its name

    def add(self, message: Fields) -> None:
        role = message.required_text("role")
        match role:
            case "system" | "developer":
                self._add_instruction(message)
            case "user":
                self._add_turn("user", message, self._said_by_user(message))
            case "assistant":
                self._add_turn("assistant", message, self._said_by_assistant(message))
            case "tool" | "function":
                self._add_result(message, role)
            case _:
                raise message.impossible("role", f"use {_ROLES}")
        self._unkept.leave_others(message, _KNOWN[role])

    def _add_instruction(self, message: Fields) -> None:
        texts: list[Text] = []
        for part in read_content(message, self._unkept):
            if isinstance(part, Text):
                texts.append(part)
            else:
                self._unkept.refuse(
                    message.named("content"), "Instructions are text: send anything else in a turn of the user."
                )
        if not self.messages:
            self.system += texts
            if message.has("name"):
                self._unkept.leave(message.named("name"))
        elif texts:
            self.messages.append(Message("system", list(texts), message.text("name")))

    def _add_turn(self, role: Any, message: Fields, parts: list[Part]) -> None:
        if parts:
            self.messages.append(Message(role, parts, message.text("name")))

    def _said_by_user(self, message: Fields) -> list[Part]:
        if not message.has("content"):
            raise message.missing("content")
        return read_content(message, self._unkept)

    def _said_by_assistant(self, message: Fields) -> list[Part]:
        unkept = self._unkept
        thoughts = read_thoughts(message.json)
        parts: list[Part] = [*thoughts]
        content = [part for part in read_content(message, unkept) if not isinstance(part, Text) or part.text]
        self._cite(message, content)
        parts += content
        if refusal := message.text("refusal"):
            parts.append(Refusal(refusal))
        parts += self._pictures(message)
        parts += self._calls(message)
        if message.has("audio"):
            unkept.refuse(message.named("audio"), "Send what was said as text: only its provider keeps the sound.")
        return parts

    def _cite(self, message: Fields, content: list[Part]) -> None:
        citations = [found for said in message.items("annotations") if (found := read_citation(said)) is not None]
        citations += [_loose_citation(said) for said in message.items("citations") if isinstance(said, dict)]
        text = next((part for part in content if isinstance(part, Text)), None)
        if citations and text is not None:
            text.citations = citations

    def _pictures(self, message: Fields) -> list[Image]:
        """Pictures that the model has made, as answers give them."""
        return [
            image_of(picture.required_inner("image_url").required_text("url")) for picture in message.objects("images")
        ]

    def _calls(self, message: Fields) -> list[ToolCall]:
        calls = [self._call(call) for call in message.objects("tool_calls")]
        legacy = message.inner("function_call")
        if legacy is not None:
            name = legacy.required_text("name")
            made = ToolCall(id=f"call_{len(self.messages)}_{len(calls)}", name=name, arguments=_arguments(legacy))
            self._unanswered[name] = made.id
            calls.append(made)
        for call in calls:
            self._names[call.id] = call.name
        return calls

    def _call(self, call: Fields) -> ToolCall:
        signature, origin = read_call_signature(call.json)
        if call.text("type") == "custom":
            custom = call.required_inner("custom")
            found = ToolCall(
                id=call.required_text("id"),
                name=custom.required_text("name"),
                arguments=custom.text("input"),
                custom=True,
            )
        else:
            function = call.required_inner("function")
            found = ToolCall(
                id=call.required_text("id"), name=function.required_text("name"), arguments=_arguments(function)
            )
        found.signature, found.origin = signature, origin
        self._unkept.leave_others(call, _CALL)
        return found

    def _add_result(self, message: Fields, role: str) -> None:
        name = message.text("name")
        is_legacy = role == "function"
        made_by = self._unanswered.pop(name, f"call_{name}") if is_legacy else message.required_text("tool_call_id")
        result = ToolResult(id=made_by, name=self._names.get(made_by, name), cache=read_cache(message))
        for part in read_content(message, self._unkept):
            if isinstance(part, Text | Image):
                result.parts.append(part)
            else:
                self._unkept.refuse(
                    message.named("content"), "Send results of tools as text or pictures.", "tool content"
                )
        last = self.messages[-1] if self.messages else None
        if last is not None and last.role == "user" and all(isinstance(part, ToolResult) for part in last.parts):
            last.parts.append(result)
        else:
            self.messages.append(Message("user", [result]))


_SAID = frozenset({"role", "content", "name"})
_BY_ASSISTANT = _SAID | {"reasoning_content", "reasoning", "reasoning_details", "refusal", "annotations", "citations"}
_KNOWN = {
    **dict.fromkeys(("system", "developer", "user"), _SAID),
    "assistant": _BY_ASSISTANT | {"images", "tool_calls", "function_call", "audio"},
    "tool": _SAID | {"tool_call_id", *MARKS},
    "function": _SAID | {*MARKS},
}
# `index`: of streams, which clients that put them together may have kept.
_CALL = frozenset({"id", "type", "function", "custom", "index", "extra_content"})


def _loose_citation(said: dict[str, Any]) -> Citation:
    """A citation without a URL, as our own answers have it."""
    title, quoted = said.get("title"), said.get("quoted")
    return Citation(title=title if isinstance(title, str) else "", quoted=quoted if isinstance(quoted, str) else "")


def _arguments(function: Fields) -> str:
    """JSON text, which some clients send as what it means."""
    said = function.json.get("arguments")
    if isinstance(said, dict | list):
        return json_bytes(said, function.named("arguments")).decode()
    return function.text("arguments") or "{}"
