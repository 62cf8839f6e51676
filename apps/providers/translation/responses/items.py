"""Turns as the items of an `input`, for providers that speak Responses. Pure."""

from apps.providers.translation.form import (
    Audio,
    File,
    Image,
    Json,
    Message,
    Part,
    Refusal,
    Request,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from apps.providers.translation.losses import Losses
from apps.providers.translation.media import data_url
from apps.providers.translation.responses.names import NAME

_ENDINGS = {
    "application/pdf": "pdf",
    "text/plain": "txt",
    "text/markdown": "md",
    "text/csv": "csv",
    "text/html": "html",
}


def written_items(request: Request, losses: Losses) -> list[Json]:
    """All turns of a request. Raises UnsupportedParameter."""
    calls = {part.id: part for message in request.messages for part in message.parts if isinstance(part, ToolCall)}
    found: list[Json] = []
    for index, message in enumerate(request.messages):
        found += _Turn(message, f"messages[{index}]", calls, losses).items
    return found


class _Turn:
    """One message: its texts and pictures are items of their own between calls, thoughts and results, in order."""

    def __init__(self, message: Message, path: str, calls: dict[str, ToolCall], losses: Losses) -> None:
        self.items: list[Json] = []
        self._role, self._calls, self._losses = message.role, calls, losses
        self._content: list[Json] = []
        if message.name:
            losses.hint(f"{path}.name")
        for index, part in enumerate(message.parts):
            self._take(part, f"{path}.content[{index}]")
        self._close()

    def _take(self, part: Part, path: str) -> None:
        match part:
            case Text():
                self._content.append(self._text(part))
            case Refusal():
                refused = {"type": "refusal", "refusal": part.text}
                self._content.append(refused if self._role == "assistant" else _input_text(part.text))
            case Image() | File() if self._role == "assistant":
                self._losses.meaning(path, "Send the pictures and files of the model's earlier turns as a user's.")
            case Image():
                self._content.append(_image(part, self._losses))
            case File():
                self._content.append(_file(part, self._losses))
            case Audio():
                self._losses.meaning(path, "Send a transcript.")
            case Thinking():
                if part.origin == NAME and part.signature:  # of others, it has no use for
                    self._item(_thoughts(part))
            case ToolCall():
                _note_mark(part.cache, self._losses)
                self._item(_call(part))
            case ToolResult():
                self._item(self._result(part))

    def _item(self, item: Json) -> None:
        self._close()
        self.items.append(item)

    def _close(self) -> None:
        if self._content:
            self.items.append({"type": "message", "role": self._role, "content": self._content})
            self._content = []

    def _text(self, part: Text) -> Json:
        _note_mark(part.cache, self._losses)
        return {"type": "output_text", "text": part.text} if self._role == "assistant" else _input_text(part.text)

    def _result(self, result: ToolResult) -> Json:
        _note_mark(result.cache, self._losses)
        call = self._calls.get(result.id)
        kind = "custom_tool_call_output" if call is not None and call.custom else "function_call_output"
        output = [self._piece(part) for part in result.parts]
        if result.is_error:  # there is no other place to say it
            output.insert(0, _input_text("Error:"))
        texts = [piece["text"] for piece in output if piece["type"] == "input_text"]
        return {"type": kind, "call_id": result.id, "output": "\n".join(texts) if len(texts) == len(output) else output}

    def _piece(self, part: Text | Image | File) -> Json:
        match part:
            case Text():
                _note_mark(part.cache, self._losses)
                return _input_text(part.text)
            case Image():
                return _image(part, self._losses)
            case File():
                return _file(part, self._losses)


def _input_text(text: str) -> Json:
    return {"type": "input_text", "text": text}


def _image(image: Image, losses: Losses) -> Json:
    _note_mark(image.cache, losses)
    written: Json = {"type": "input_image", "detail": image.detail or "auto"}
    if image.data:
        written["image_url"] = data_url(image.media_type or "image/png", image.data)
    elif image.url:
        written["image_url"] = image.url
    else:
        written["file_id"] = image.file_id
    return written


def _file(file: File, losses: Losses) -> Json:
    _note_mark(file.cache, losses)
    if file.text:  # not every model takes files that are no PDF
        return _input_text(f"{file.name}\n\n{file.text}" if file.name else file.text)
    written: Json = {"type": "input_file"}
    if file.data:
        written["filename"] = file.name or f"file.{_ENDINGS.get(file.media_type, 'pdf')}"
        written["file_data"] = data_url(file.media_type or "application/pdf", file.data)
    elif file.url:
        written["file_url"] = file.url
    else:
        written["file_id"] = file.file_id
    return written


def _thoughts(part: Thinking) -> Json:
    summary = [{"type": "summary_text", "text": part.text}] if part.text else []
    return {"type": "reasoning", "summary": summary, "encrypted_content": part.signature}


def _call(call: ToolCall) -> Json:
    if call.custom:
        return {"type": "custom_tool_call", "call_id": call.id, "name": call.name, "input": call.arguments}
    return {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments or "{}"}


def _note_mark(cache: str, losses: Losses) -> None:
    """OpenAI keeps prompts by itself: a mark is a hint, and most models know none."""
    if cache:
        losses.hint("cache_control")
