"""Reading the turns of a request in Gemini's words. Pure."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from apps.providers.translation.fields import missing, wrong_type, wrong_value
from apps.providers.translation.form import Audio, File, Image, Message, Text, ToolCall, ToolResult
from apps.providers.translation.gemini import kept, media
from apps.providers.translation.gemini.fields import (
    boolean,
    fields,
    joined,
    json_text,
    listed,
    spellings,
    string,
    unknown,
    word,
)
from apps.providers.translation.gemini.turn import Turn

CONTENT = spellings("role", "parts")
_PART = spellings(
    "text",
    "thought",
    "thoughtSignature",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "mediaResolution",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
)
_BLOB = spellings("mimeType", "data", "displayName")
_FILE = spellings("mimeType", "fileUri", "displayName")
_CALL = spellings("id", "name", "args", "partialArgs", "willContinue")
_RESULT = spellings("id", "name", "response", "parts", "scheduling", "willContinue")
_RESOLUTION = spellings("level", "numTokens")

# Facts about a part, without which it still says the same.
_HINTS = spellings("videoMetadata", "partMetadata", "mediaProcessing", "audioTranscription", "speechMetadata")
_OF_GOOGLES_TOOLS = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse")
_ROLES = {"": "user", "user": "user", "function": "user", "tool": "user", "model": "assistant"}
DETAILS = {"LOW": "low", "MEDIUM": "auto", "HIGH": "high", "ULTRA_HIGH": "high"}

_NO_CALLS: deque[ToolCall] = deque()
_KINDS_MAX = 64  # of losses; more than any answer's header names

type Losses = dict[str, str]


class Contents:
    """The turns of one request, read one after the other.

    `left`, `fatal`: as of Request. `detail`: of pictures that say none of their own.
    """

    def __init__(self, left: list[str], fatal: Losses, *, detail: str) -> None:
        self._messages: list[Message] = []
        self._turn: Turn | None = None  # the model's, while no other has come after it
        self._left, self._fatal, self._detail = left, fatal, detail
        self._kinds: set[str] = set()  # of what is left
        self._open: dict[str, ToolCall] = {}  # calls without a result so far, by id
        self._names: dict[str, deque[ToolCall]] = {}  # calls by name, in order
        self._ids: set[str] = set()
        self._number = 0

    def read(self, content: object, at: str) -> None:
        """The next turn. Raises BadRequest naming the field."""
        given = fields(content, at, CONTENT)
        self._leave(unknown(given, CONTENT), at)
        role = _ROLES.get(string(given, "role", at).lower())
        if role is None:
            raise wrong_value(f"{at}.role", "use user or model, and systemInstruction for instructions")
        parts = listed(given, "parts", at)
        if role == "user":
            turn = Turn()
            for index, part in enumerate(parts):
                self._part(part, f"{at}.parts[{index}]", turn, by_model=False)
            if turn.parts:
                self._close()
                self._messages.append(Message("user", turn.whole()))
            return
        # A model's turn may come in many pieces: clients that read streams keep each chunk as one.
        turn = self._turn or Turn()
        for index, part in enumerate(parts):
            self._part(part, f"{at}.parts[{index}]", turn, by_model=True)
        if self._turn is None and turn.parts:
            self._turn = turn
            self._messages.append(Message("assistant", turn.parts))

    def messages(self) -> list[Message]:
        """All of them."""
        self._close()
        return self._messages

    def _close(self) -> None:
        """Ends the model's turn."""
        if self._turn is not None:
            self._turn.whole()
            self._turn = None

    def _part(self, part: object, at: str, turn: Turn, *, by_model: bool) -> None:
        given = fields(part, at, _PART)
        self._hints(given, at)
        signature, origin, redacted = kept.read(string(given, "thoughtSignature", at))
        if "functionCall" in given:
            if not by_model:
                path = joined(at, "functionCall")
                raise wrong_value(path, "only turns of the role model have calls")
            turn.add(self._call(given["functionCall"], joined(at, "functionCall"), signature, origin))
        elif "functionResponse" in given:
            if by_model:
                path = joined(at, "functionResponse")
                raise wrong_value(path, "results are of turns of the role user")
            turn.add(self._result(given["functionResponse"], joined(at, "functionResponse")))
        elif "inlineData" in given or "fileData" in given:
            if by_model and signature:
                turn.sign(signature, origin, redacted=True)
            self._media(given, at, turn)
        else:
            text = string(given, "text", at)
            if boolean(given, "thought", at):
                turn.thought(text)
                if signature:
                    turn.sign(signature, origin, redacted=redacted or origin == kept.NAME, alone=redacted)
            elif by_model:
                if signature:
                    turn.sign(signature, origin, redacted=True)
                turn.text(text)
            elif text:
                turn.add(Text(text))

    def _media(self, given: Mapping[str, Any], at: str, turn: Turn) -> None:
        found: Image | Audio | File | None
        if "inlineData" in given:
            found = self._inline(given["inlineData"], joined(at, "inlineData"), _detail_of(given, at))
        else:
            found = self._linked(given["fileData"], joined(at, "fileData"), _detail_of(given, at))
        if found is not None:
            turn.add(found)

    def _hints(self, given: Mapping[str, Any], at: str) -> None:
        for name in unknown(given, _PART):
            if name in _HINTS:
                self._leave([_HINTS[name]], at)
            else:
                self._fatal[joined(at, name)] = "Leave this part out, or say it as text."
        for name in _OF_GOOGLES_TOOLS:
            if name in given:
                self._fatal[joined(at, name)] = "It is of a tool that Google runs: leave it out, or say it as text."

    def _leave(self, names: Iterable[str], at: str) -> None:
        """Each kind of loss once, where it is met first."""
        for name in names:
            if name not in self._kinds and len(self._kinds) < _KINDS_MAX:
                self._kinds.add(name)
                self._left.append(joined(at, name))

    def _call(self, call: object, at: str, signature: str, origin: str) -> ToolCall:
        given = fields(call, at, _CALL)
        self._leave(unknown(given, _CALL), at)
        name = string(given, "name", at)
        if not name:
            raise missing(f"{at}.name")
        args = given.get("args", {})
        if not isinstance(args, dict):
            raise wrong_type(f"{at}.args", "an object")
        if "partialArgs" in given:
            self._fatal[f"{at}.partialArgs"] = "Send the call's whole arguments as args."
        found = ToolCall(
            id=string(given, "id", at) or self._invent(),
            name=name,
            arguments=json_text(args, f"{at}.args"),
            signature=signature,
            origin=origin,
        )
        self._ids.add(found.id)
        self._open[found.id] = found
        self._names.setdefault(name, deque()).append(found)
        return found

    def _invent(self) -> str:
        while True:
            self._number += 1
            if (made := f"call_without_id_{self._number}") not in self._ids:
                return made

    def _result(self, result: object, at: str) -> ToolResult:
        given = fields(result, at, _RESULT)
        self._leave([*unknown(given, _RESULT), *(name for name in ("scheduling",) if name in given)], at)
        name, id_ = string(given, "name", at), string(given, "id", at)
        call = self._answered(id_, name)
        if call is None:
            raise wrong_value(at, "it answers no functionCall of a turn before it")
        del self._open[call.id]
        response = given.get("response", {})
        if not isinstance(response, dict):
            raise wrong_type(f"{at}.response", "an object")
        text, is_error = _said(response, f"{at}.response")
        parts: list[Any] = [Text(text)] if text else []
        for index, part in enumerate(listed(given, "parts", at)):
            if (found := self._result_part(part, f"{at}.parts[{index}]")) is not None:
                parts.append(found)
        return ToolResult(id=call.id, name=call.name, parts=parts, is_error=is_error)

    def _answered(self, id_: str, name: str) -> ToolCall | None:
        """The call that a result is for: by its id, else the first one of its name that has none yet."""
        if id_ in self._open:
            return self._open[id_]
        calls = self._names.get(name, _NO_CALLS)
        while calls:
            if self._open.get(calls[0].id) is calls[0]:
                return calls[0]
            calls.popleft()
        return None

    def _result_part(self, part: object, at: str) -> Image | File | None:
        given = fields(part, at, _PART)
        found: Image | Audio | File | None = None
        if "inlineData" in given:
            found = self._inline(given["inlineData"], joined(at, "inlineData"), "")
        elif "fileData" in given:
            found = self._linked(given["fileData"], joined(at, "fileData"), "")
        if isinstance(found, Image | File):
            return found
        if given:
            self._fatal.setdefault(at, "Say it in the response itself.")
        return None

    def _inline(self, blob: object, at: str, detail: str) -> Image | Audio | File | None:
        given = fields(blob, at, _BLOB)
        kind, data = string(given, "mimeType", at), string(given, "data", at)
        if not kind:
            raise missing(f"{at}.mimeType")
        part = media.inline_part(kind, data, string(given, "displayName", at), at)
        if part is None:
            self._fatal[at] = "Send pictures of the video, or what is said in it as audio or text."
        elif isinstance(part, Image):
            part.detail = detail or self._detail
        return part

    def _linked(self, file: object, at: str, detail: str) -> Image | File | None:
        given = fields(file, at, _FILE)
        url = string(given, "fileUri", at)
        if not url:
            raise missing(f"{at}.fileUri")
        part = media.linked_part(string(given, "mimeType", at), url, string(given, "displayName", at))
        if part is None:
            self._fatal[at] = "Nobody but Google can open it: send the file itself as inlineData."
        elif isinstance(part, Image):
            part.detail = detail or self._detail
        return part


def system_texts(instruction: object, at: str, left: list[str], fatal: Losses) -> list[Text]:
    """The texts of a systemInstruction. Raises BadRequest naming the field."""
    if isinstance(instruction, str):
        return [Text(instruction)] if instruction else []
    given = fields(instruction, at, CONTENT)
    left.extend(joined(at, name) for name in unknown(given, CONTENT))
    found = []
    for index, part in enumerate(listed(given, "parts", at)):
        path = f"{at}.parts[{index}]"
        inner = fields(part, path, _PART)
        if text := string(inner, "text", path):
            found.append(Text(text))
        elif inner.keys() - {"text", "thought", "thoughtSignature"}:
            fatal[path] = "Instructions are text: send it in a turn of the user's."
    return found


def _detail_of(given: Mapping[str, Any], at: str) -> str:
    value = given.get("mediaResolution")
    path = joined(at, "mediaResolution")
    if isinstance(value, dict):
        value = fields(value, path, _RESOLUTION).get("level")
    said = word({"mediaResolution": value}, "mediaResolution", at)
    return DETAILS.get(said.removeprefix("MEDIA_RESOLUTION_"), "")


def _said(response: Mapping[str, Any], at: str) -> tuple[str, bool]:
    """The text of a result, and whether it is an error: what stands alone under the usual names, else all of it."""
    if len(response) == 1:
        ((name, value),) = response.items()
        if name in ("result", "output", "error"):
            if isinstance(value, str):
                return value, name == "error"
            return ("" if value is None else json_text(value, at)), name == "error"
    return (json_text(response, at) if response else ""), False
