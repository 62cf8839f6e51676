"""The items of an `input`, gathered into turns: calls, thoughts and texts in a row are one turn of the model. Pure."""

from collections.abc import Iterable
from typing import Literal

from apps.providers.translation.fields import Fields, Unkept
from apps.providers.translation.form import File, Image, Message, Part, Text, Thinking, ToolCall, ToolResult
from apps.providers.translation.responses.keeping import open_content
from apps.providers.translation.responses.names import NAME, ToolNames
from apps.providers.translation.responses.parts import read_content

STORED = "Send the whole input: this model's provider stores no responses."
_REFERENCE = (
    "Send the item itself, as clients do that are told not to store: this model's provider stores no responses."
)

_ROLES = ("user", "assistant", "system", "developer")
_HOSTED = "Leave it out: it belongs to a tool that OpenAI runs, which does not serve this model."
_CUSTOM = "Offer and answer functions: a tool that takes plain text is known here only to OpenAI."
# What OpenAI has done on the way, and told; the text that came of it is in the messages.
_TOLD = frozenset({"web_search_call", "file_search_call", "code_interpreter_call", "mcp_list_tools"})
_FORMATS = frozenset({"png", "webp", "jpeg", "gif"})


class Conversation:
    """What the items come to. `system`: instructions before the first turn; `messages`: the turns."""

    __slots__ = ("_calls", "_names", "_signatures", "_unkept", "messages", "system")

    def __init__(self, items: Iterable[Fields], names: ToolNames, unkept: Unkept) -> None:
        """Raises BadRequest naming the item."""
        self.system: list[Text] = []
        self.messages: list[Message] = []
        self._names, self._unkept = names, unkept
        self._calls = dict[str, ToolCall]()
        self._signatures = dict[str, tuple[str, str]]()  # by the id of the call that they are for
        for item in items:
            self._take(item)
        for call, signed in self._signatures.items():
            if call in self._calls:
                self._calls[call].signature, self._calls[call].origin = signed

    def _take(self, item: Fields) -> None:
        kind = item.text("type")
        if not kind:
            if item.has("role"):
                kind = "message"
            elif item.has("id"):
                kind = "item_reference"
            else:
                raise item.missing("type")
        match kind:
            case "message":
                self._message(item)
            case "function_call":
                self._call(item)
            case "function_call_output":
                self._result(item)
            case "reasoning":
                self._thoughts(item)
            case "image_generation_call":
                self._picture(item)
            case "additional_tools":
                pass  # read with the others
            case "item_reference":
                self._unkept.refuse(item.path, _REFERENCE, kind)
            case "custom_tool_call" | "custom_tool_call_output":
                self._unkept.refuse(item.path, _CUSTOM, kind)
            case _ if kind in _TOLD:
                self._unkept.leave(item.path, kind)
            case _:
                self._unkept.refuse(item.path, _HOSTED, kind)

    def _message(self, item: Fields) -> None:
        role = item.word("role", _ROLES)
        if not role:
            raise item.missing("role")
        parts = read_content(item, "content", self._unkept)
        if item.has("phase"):
            self._unkept.leave(item.named("phase"))
        if role == "assistant":
            self._add("assistant", parts)
        elif role == "user":
            # Not joined to the one before: it is for the provider's dialect to say whether turns must alternate.
            self.messages.append(Message("user", list(parts)))
        elif not self.messages and all(isinstance(part, Text) for part in parts):
            self.system += [part for part in parts if isinstance(part, Text)]
        else:
            self.messages.append(Message("system", list(parts)))

    def _add(self, role: Literal["user", "assistant"], parts: Iterable[Part]) -> None:
        """To the turn that is going on, if it is this one's."""
        if not self.messages or self.messages[-1].role != role:
            self.messages.append(Message(role, []))
        self.messages[-1].parts += parts

    def _call(self, item: Fields) -> None:
        name = item.required_text("name")
        call = ToolCall(
            id=item.required_text("call_id"),
            name=self._names.flat.get((item.text("namespace"), name), name),
            arguments=item.text("arguments") or "{}",
        )
        self._calls[call.id] = call
        self._add("assistant", [call])

    def _result(self, item: Fields) -> None:
        call_id = item.required_text("call_id")
        parts: list[Text | Image | File] = []
        for part in read_content(item, "output", self._unkept):
            if isinstance(part, Text | Image | File):
                parts.append(part)
            else:
                self._unkept.refuse(item.named("output"), "A tool's output is text, images and files.", "output")
        call = self._calls.get(call_id)
        result = ToolResult(id=call_id, name=call.name if call is not None else item.text("name"), parts=parts)
        last = self.messages[-1] if self.messages else None
        if last is not None and last.role == "user" and last.parts and isinstance(last.parts[-1], ToolResult):
            last.parts.append(result)
        else:
            self.messages.append(Message("user", [result]))

    def _thoughts(self, item: Fields) -> None:
        pieces = item.objects("content") or item.objects("summary")
        text = "\n\n".join(piece.text("text") for piece in pieces)
        kept = open_content(item.text("encrypted_content"))
        if kept.call:
            self._signatures[kept.call] = kept.signature, kept.origin
        elif text or kept.signature:
            thoughts = Thinking(
                text=text,
                signature=kept.signature,
                origin=kept.origin,
                redacted=kept.redacted or (not text and kept.origin == NAME),
            )
            self._add("assistant", [thoughts])

    def _picture(self, item: Fields) -> None:
        data, form = item.text("result"), item.text("output_format")
        if data:
            media_type = f"image/{form}" if form in _FORMATS else "image/png"
            self._add("assistant", [Image(data=data, media_type=media_type)])
        else:
            self._unkept.leave(item.path, "image_generation_call")
