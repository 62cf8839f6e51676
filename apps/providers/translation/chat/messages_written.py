"""Writing the `messages` of a chat request. Pure."""

from collections.abc import Sequence

from apps.providers.translation.chat.parts_written import PartWriter
from apps.providers.translation.chat.suiting import thoughts_first
from apps.providers.translation.chat.thoughts import NAME, call_extra, details_of
from apps.providers.translation.chat.tool_ids import taken_id
from apps.providers.translation.form import (
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
from apps.providers.translation.upstream import Upstream


def write_messages(request: Request, upstream: Upstream, losses: Losses) -> list[Json]:
    """The messages. Raises UnsupportedParameter."""
    return _Messages(request, upstream, losses).written()


class _Messages:
    """The messages of one request on their way to one provider."""

    def __init__(self, request: Request, upstream: Upstream, losses: Losses) -> None:
        self._request, self._upstream, self._losses = request, upstream, losses
        self._parts = PartWriter(upstream, losses)
        self._habits = self._parts.habits
        self._messages: list[Json] = []
        self._thoughtful = _answers_with_thoughts(request.messages)

    def written(self) -> list[Json]:
        request = self._request
        if request.system:
            self._messages.append({"role": "system", "content": self._parts.content(request.system, "system")})
        for place, message in enumerate(request.messages):
            path = f"messages[{place}]"
            match message.role:
                case "assistant":
                    self._add_answer(message, path, with_thoughts=place in self._thoughtful)
                case "system" if not self._habits.is_strict_in_order:
                    self._add("system", message.parts, message, path)
                case _:
                    self._add_turn(message, path)
        self._check_end()
        return self._messages

    def _add(self, role: str, parts: Sequence[Part], message: Message, path: str) -> None:
        content = self._parts.content(parts, path)
        self._messages.append({"role": role, "content": content or ""} | self._name(message, path))

    def _name(self, message: Message, path: str) -> Json:
        if not message.name:
            return {}
        if "name" in self._habits.takes:
            return {"name": message.name}
        self._losses.hint(f"{path}.name")
        return {}

    def _add_turn(self, message: Message, path: str) -> None:
        """A user's turn: results of tools first, each a message of its own, then all else."""
        seen: list[Part] = []  # pictures in results, which have no room for them
        for part in message.parts:
            if isinstance(part, ToolResult):
                seen += self._add_result(part)
        rest = seen + [part for part in message.parts if not isinstance(part, ToolResult)]
        if not rest:
            return
        last = self._messages[-1] if self._messages else None
        if self._habits.is_strict_in_order and last is not None and last["role"] in ("user", "tool"):
            last["content"] = _merged(last["content"], self._parts.content(rest, path))
            self._name(message, path)
        else:
            self._add("user", rest, message, path)

    def _add_result(self, result: ToolResult) -> list[Part]:
        parts = self._parts
        texts = [part for part in result.parts if isinstance(part, Text)]
        content = parts.joined(texts, "\n")
        parts.lose_mark(result.cache)
        if result.is_error and not content.lower().startswith("error"):
            content = f"Error: {content}"
        self._messages.append({"role": "tool", "tool_call_id": taken_id(result.id, self._habits), "content": content})
        return [part for part in result.parts if not isinstance(part, Text)]

    def _add_answer(self, message: Message, path: str, *, with_thoughts: bool) -> None:
        """An assistant's message. `with_thoughts`: for those who want them back."""
        written: Json = {"role": "assistant", "content": self._said(message.parts, path)} | self._name(message, path)
        refusal = "".join(part.text for part in message.parts if isinstance(part, Refusal))
        if refusal and "refusal" in self._habits.takes:
            written["refusal"] = refusal
        thoughts = [part for part in message.parts if isinstance(part, Thinking)]
        if thoughts:
            written |= self._thoughts(thoughts, written["content"], with_text=with_thoughts)
        calls = [part for part in message.parts if isinstance(part, ToolCall)]
        if calls:
            written["tool_calls"] = [self._call(call, path) for call in calls]
        if calls or refusal or written["content"]:
            written["content"] = written["content"] or self._habits.empty
            self._messages.append(written)

    def _said(self, parts: Sequence[Part], path: str) -> str:
        texts: list[Text] = []
        for place, part in enumerate(parts):
            match part:
                case Text():
                    texts.append(part)
                    if part.citations:
                        self._losses.hint(f"{path}.annotations")
                case Refusal() if "refusal" not in self._habits.takes:
                    texts.append(Text(part.text))
                case Refusal() | Thinking() | ToolCall():
                    pass
                case _:
                    self._losses.meaning(f"{path}.content[{place}]", "Send it in a turn of the user.")
        return self._parts.joined(texts, "\n\n")

    def _thoughts(self, thoughts: Sequence[Thinking], said: str, *, with_text: bool) -> Json:
        """Those that the provider wants back; it makes nothing of the others, which is no loss. `said`: what follows on them."""
        own = [thought for thought in thoughts if thought.origin == NAME and thought.signature]
        if self._habits.keeps_details and own:
            return {"reasoning_details": details_of(own)}
        text = "\n\n".join(thought.text for thought in thoughts if thought.text)
        if not text or not with_text or not self._habits.returns or self._upstream.lacks("reasoning"):
            return {}
        if self._habits.returns == "parts":
            return {"content": thoughts_first(text, said)}
        return {self._habits.returns: text}

    def _call(self, call: ToolCall, path: str) -> Json:
        self._parts.lose_mark(call.cache)
        written: Json = {"id": taken_id(call.id, self._habits)}
        if call.custom:
            if "custom" not in self._habits.takes:
                self._losses.impossible(f"{path}.tool_calls", "Offer functions only.")
            written |= {"type": "custom", "custom": {"name": call.name, "input": call.arguments}}
        else:
            written |= {"type": "function", "function": {"name": call.name, "arguments": call.arguments or "{}"}}
        if call.origin == NAME and self._habits.keeps_details:
            written |= call_extra(call)
        return written

    def _check_end(self) -> None:
        """A model that is to go on with what it has said."""
        last = self._messages[-1] if self._messages else None
        if last is None or last["role"] != "assistant" or "tool_calls" in last:
            return
        if self._upstream.provider == "mistral":
            last["prefix"] = True
        elif not self._habits.prefills:
            path = f"messages[{len(self._request.messages) - 1}]"
            self._losses.meaning(path, "End the conversation with a turn of the user.")


def _answers_with_thoughts(messages: Sequence[Message]) -> set[int]:
    """The assistant's messages whose thoughts still count: of turns in which tools were called, and of the one that is not over."""
    found: set[int] = set()
    turn: list[int] = []
    called = False
    for place, message in enumerate(messages):
        if message.role == "assistant":
            turn.append(place)
            called = called or any(isinstance(part, ToolCall) for part in message.parts)
        elif message.role == "user" and not any(isinstance(part, ToolResult) for part in message.parts):
            found |= set(turn) if called else set()
            turn, called = [], False
    return found | set(turn)


def _merged(first: str | list[Json], second: str | list[Json]) -> str | list[Json]:
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n\n{second}" if first else second
    return [*_as_parts(first), *_as_parts(second)]


def _as_parts(content: str | list[Json]) -> list[Json]:
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if content else []
