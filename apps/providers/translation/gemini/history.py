"""Writing the turns of a request in Gemini's words. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from apps.providers.translation.form import (
    Audio,
    File,
    Image,
    Message,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from apps.providers.translation.gemini import media
from apps.providers.translation.gemini.kept import NAME
from apps.providers.translation.losses import Losses

# What Google takes in the place of a signature that is not known any more.
STAND_IN = "skip_thought_signature_validator"

_AS_DATA = "Send it as data, in base64."


class History:
    """Writes a conversation. `is_new`: whether the model is of Gemini 3 or later, which opens public URLs and wants signatures."""

    def __init__(self, losses: Losses, *, is_new: bool) -> None:
        self._losses, self._is_new = losses, is_new
        self._names: dict[str, str] = {}  # of calls, by id
        self._order: dict[str, int] = {}  # of calls, the latest of an id
        self._contents: list[dict[str, Any]] = []
        self._results: list[tuple[int, dict[str, Any]]] = []  # of the turn that is being written
        self._parts: list[dict[str, Any]] = []
        self._details: set[str] = set()
        self._detailed = ""  # where one was asked for

    def write(self, messages: Iterable[Message]) -> list[dict[str, Any]]:
        """The contents. Turns of one role that follow one another become one; results of tools stand before anything else."""
        for index, message in enumerate(messages):
            at = f"messages[{index}]"
            if message.name:
                self._losses.hint("messages.name")
            if message.role == "assistant":
                self._close()
                self._model(message.parts, at)
            else:
                for place, part in enumerate(message.parts):
                    self._user(part, at, f"{at}.content[{place}]")
        self._close()
        if self._contents and self._contents[-1]["role"] == "model":
            last = f"messages[{index}]"
            self._losses.meaning(last, "It cannot go on from an answer's beginning: end with a message of the user's.")
        return self._contents

    @property
    def detail(self) -> str:
        """The detail that all pictures are asked to be looked at in; empty if they are not, or not the same for all."""
        if len(self._details) == 1:
            return next(iter(self._details))
        if self._details:
            self._losses.hint(self._detailed)
        return ""

    def _close(self) -> None:
        """Writes the user's turn that has come together."""
        if self._results:
            self._results.sort(key=_place)
            self._contents.append({"role": "user", "parts": [part for _, part in self._results]})
        if self._parts:
            self._contents.append({"role": "user", "parts": self._parts})
        self._results, self._parts = [], []

    # --- The user's ---

    def _user(self, part: Part, message: str, at: str) -> None:
        if isinstance(part, ToolResult):
            self._result(part, message, at)
        elif isinstance(part, Text | Refusal):
            if part.text:
                self._parts.append({"text": part.text})
            if isinstance(part, Text) and part.cache:
                self._losses.hint("cache_control")
        elif isinstance(part, Image | Audio | File):
            self._parts.append(self._media(part, at))

    def _media(self, part: Image | Audio | File, at: str) -> dict[str, Any]:
        if isinstance(part, Image):
            self._details.add(part.detail if part.detail != "auto" else "")
            self._detailed = self._detailed or (f"{at}.image_url.detail" if part.detail else "")
        elif isinstance(part, File) and part.name:
            self._losses.hint("file.filename")
        if not isinstance(part, Audio) and part.cache:
            self._losses.hint("cache_control")
        found = media.inline_data(part)
        if found is not None:
            return found
        if isinstance(part, Audio) or part.file_id or not part.url:
            self._losses.impossible(at, _AS_DATA)
        if media.is_googles(part.url) or (self._is_new and media.is_public(part.url)):
            return media.file_data(part)
        return self._losses.impossible(at, _AS_DATA)

    def _result(self, result: ToolResult, message: str, at: str) -> None:
        name = self._names.get(result.id) or result.name
        if not name:
            remedy = "Send the message with the tool call that it answers, too."
            self._losses.impossible(f"{message}.tool_call_id", remedy)
        if result.cache or any(part.cache for part in result.parts):
            self._losses.hint("cache_control")
        text = "\n".join(part.text for part in result.parts if isinstance(part, Text))
        response: dict[str, Any] = {
            "id": result.id,
            "name": name,
            "response": _response(text, is_error=result.is_error),
        }
        if not result.id:
            del response["id"]
        shown = [self._media(part, at) for part in result.parts if not isinstance(part, Text)]
        if self._is_new:
            if shown:
                response["parts"] = shown
        else:
            self._parts.extend(shown)
        self._results.append((self._order.get(result.id, len(self._order)), {"functionResponse": response}))

    # --- The model's ---

    def _model(self, parts: Iterable[Part], at: str) -> None:
        last = self._contents[-1] if self._contents else None
        joins = last is not None and last["role"] == "model"
        written: list[dict[str, Any]] = last["parts"] if last is not None and joins else []
        signature = ""  # of thoughts, which Gemini keeps on the part that they led to
        calls = 0
        for place, part in enumerate(parts):
            if isinstance(part, Thinking):
                if part.origin == NAME:
                    if signature:
                        written.append({"text": "", "thoughtSignature": signature})
                    signature = part.signature
                    if part.text:
                        written.append({"text": part.text, "thought": True})
                continue
            if isinstance(part, ToolCall):
                found: dict[str, Any] | None = self._call(part, f"{at}.tool_calls[{calls}].function.arguments")
                calls += 1
            else:
                found = self._said(part, f"{at}.content[{place}]")
            if found is None:
                continue
            if signature:
                if "thoughtSignature" in found:
                    written.append({"text": "", "thoughtSignature": signature})
                else:
                    found["thoughtSignature"] = signature
                signature = ""
            written.append(found)
        if signature:
            written.append({"text": "", "thoughtSignature": signature})
        if self._is_new:
            _sign_first_call(written)
        if written and not joins:
            self._contents.append({"role": "model", "parts": written})

    def _said(self, part: Part, at: str) -> dict[str, Any] | None:
        if isinstance(part, Text | Refusal):
            if isinstance(part, Text) and part.cache:
                self._losses.hint("cache_control")
            return {"text": part.text} if part.text else None
        if isinstance(part, Image | Audio | File):
            return self._media(part, at)
        return None

    def _call(self, call: ToolCall, path: str) -> dict[str, Any]:
        self._names[call.id] = call.name
        self._order[call.id] = len(self._order)
        if call.cache:
            self._losses.hint("cache_control")
        if call.custom or not _is_object(call.arguments):
            self._losses.impossible(path, "Send a JSON object.")
        function: dict[str, Any] = {"id": call.id, "name": call.name, "args": orjson.Fragment(call.arguments or "{}")}
        if not call.id:
            del function["id"]
        found: dict[str, Any] = {"functionCall": function}
        if call.signature and call.origin == NAME:
            found["thoughtSignature"] = call.signature
        return found


def _sign_first_call(parts: Iterable[dict[str, Any]]) -> None:
    """The first call of a step has a signature in any case: without one the whole request is refused."""
    for part in parts:
        if "functionCall" in part:
            part.setdefault("thoughtSignature", STAND_IN)
            return


def _response(text: str, *, is_error: bool) -> Mapping[str, Any] | orjson.Fragment:
    """A result as the object that Google wants it to be: as it is, if it is one."""
    if is_error:
        return {"error": text}
    return orjson.Fragment(text) if text.lstrip()[:1] == "{" and _is_object(text) else {"result": text}


def _is_object(text: str) -> bool:
    if not text:
        return True  # what some providers say of a call without arguments
    try:
        return isinstance(orjson.loads(text), dict)
    except (orjson.JSONDecodeError, RecursionError):
        return False


def _place(result: tuple[int, dict[str, Any]]) -> int:
    return result[0]
