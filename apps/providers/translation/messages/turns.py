"""Writing the messages of a request: turns that alternate, results of tools first in theirs. Pure."""

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import orjson

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
from apps.providers.translation.messages.media import document_block, image_block
from apps.providers.translation.messages.words import NAME
from apps.providers.translation.upstream import Upstream

_MARKS_MAX = 4  # as many prompts may be kept with one request
_ID = re.compile(r"[a-zA-Z0-9_-]+")
_NOT_OF_ID = re.compile(r"[^a-zA-Z0-9_-]")

_NO_SOUND = "This model does not hear: send what is said as text."
_NO_PICTURES_SAID = "Anthropic's models take pictures and documents from the user only: send it in a user's message."
_NOT_JSON = "The arguments of a tool call must be a JSON object."


class Marks:
    """Blocks up to which the prompt may be kept, in the order in which they are sent."""

    __slots__ = ("_blocks",)

    def __init__(self) -> None:
        self._blocks: list[Json] = []

    def add(self, block: Json, lifetime: str) -> Json:
        """The block, marked if it has a lifetime."""
        if lifetime:
            block["cache_control"] = {"type": "ephemeral", "ttl": "1h"} if lifetime == "1h" else {"type": "ephemeral"}
            self._blocks.append(block)
        return block

    def bound(self, losses: Losses) -> None:
        """Keep the first, which is the longest-lived, and the last ones: more are refused."""
        for block in self._blocks[1 : 1 - _MARKS_MAX] if len(self._blocks) > _MARKS_MAX else ():
            losses.hint("cache_control")
            del block["cache_control"]


@dataclass(slots=True)
class Turn:
    """One message as it is sent. `role`: user, assistant, or system where the model takes instructions in between."""

    role: str
    blocks: list[Json] = field(default_factory=list)

    @property
    def calls(self) -> list[str]:
        """Ids of the tools that are called in it."""
        return [block["id"] for block in self.blocks if block["type"] == "tool_use"]

    @property
    def is_thought_about(self) -> bool:
        """Whether it begins with thoughts."""
        return bool(self.blocks) and self.blocks[0]["type"] in ("thinking", "redacted_thinking")


def system_blocks(texts: Iterable[Text], marks: Marks) -> list[Json]:
    """Instructions as text blocks; those that say nothing are left out, as they would be refused."""
    return [marks.add({"type": "text", "text": text.text}, text.cache) for text in texts if text.text.strip()]


def write_turns(request: Request, upstream: Upstream, losses: Losses, marks: Marks) -> tuple[list[Json], list[Turn]]:
    """The system's blocks and the turns. Raises UnsupportedParameter."""
    writer = _Writer(losses, marks, "system" if "mid_system" in upstream.caps else "user")
    system = system_blocks(request.system, marks)
    for place, message in enumerate(request.messages):
        if message.role == "system" and not writer.turns:
            system += system_blocks((part for part in message.parts if isinstance(part, Text)), marks)
        else:
            writer.add(message, f"messages[{place}]")
    turns = writer.ended()
    if not turns and system:  # instructions alone are what the user asks
        turns.append(Turn("user", [system.pop()]))
    if turns and turns[0].role == "assistant":
        losses.hint("messages[0].role")  # the user begins, if only by saying nothing
        turns.insert(0, Turn("user", [{"type": "text", "text": "…"}]))
    return system, turns


class _Writer:
    def __init__(self, losses: Losses, marks: Marks, role_between: str) -> None:
        """`role_between`: the role of instructions in the midst of others."""
        self.turns: list[Turn] = []
        self._losses, self._marks, self._role_between = losses, marks, role_between
        self._waiting: list[Json] = []  # instructions between a call and its results, where none may stand

    def add(self, message: Message, path: str) -> None:
        if message.name:
            self._losses.hint(f"{path}.name")
        if message.role == "assistant":
            self._put("assistant", self._said(message.parts, path))
        elif message.role == "user":
            self._put("user", self._asked(message.parts, path))
            self._put(self._role_between, self._taken())
        else:
            blocks = system_blocks((part for part in message.parts if isinstance(part, Text)), self._marks)
            if self.turns and self.turns[-1].calls:
                self._waiting += blocks
            else:
                self._put(self._role_between, blocks)

    def ended(self) -> list[Turn]:
        self._put(self._role_between, self._taken())
        for before, turn in pairwise(self.turns):
            if turn.role == "user" and (order := {call: place for place, call in enumerate(before.calls)}):
                turn.blocks.sort(key=lambda block: _place(block, order))
        return self.turns

    def _taken(self) -> list[Json]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def _put(self, role: str, blocks: list[Json]) -> None:
        if not blocks:
            return
        if self.turns and self.turns[-1].role == role:
            self.turns[-1].blocks += blocks
        else:
            self.turns.append(Turn(role, blocks))

    # --- What is in them ---

    def _asked(self, parts: list[Part], path: str) -> list[Json]:
        blocks = []
        for place, part in enumerate(parts):
            where = f"{path}.content[{place}]"
            if isinstance(part, ToolResult):
                blocks.append(self._result(part, where))
            elif isinstance(part, Text | Image | File | Refusal):
                blocks += self._shown(part, where)
            elif isinstance(part, Audio):
                self._losses.meaning(where, _NO_SOUND)
        return blocks

    def _said(self, parts: list[Part], path: str) -> list[Json]:
        blocks: list[Json] = []
        for place, part in enumerate(parts):
            where = f"{path}.content[{place}]"
            if isinstance(part, Text | Refusal):
                blocks += self._shown(part, where)
            elif isinstance(part, Thinking):
                blocks += _thought(part)
            elif isinstance(part, ToolCall):
                blocks.append(self._call(part, path))
            elif isinstance(part, Image | File | Audio):
                self._losses.meaning(where, _NO_PICTURES_SAID)
        return blocks

    def _shown(self, part: Text | Image | File | Refusal, path: str) -> list[Json]:
        block: Json | None
        if isinstance(part, Image):
            block = image_block(part, path, self._losses)
        elif isinstance(part, File):
            block = document_block(part, path, self._losses)
        else:
            block = {"type": "text", "text": part.text} if part.text.strip() else None
        if block is None:
            return []
        return [self._marks.add(block, "" if isinstance(part, Refusal) else part.cache)]

    def _call(self, call: ToolCall, path: str) -> Json:
        block: Json = {"type": "tool_use", "id": tool_id(call.id), "name": call.name, "input": self._input(call, path)}
        return self._marks.add(block, call.cache)

    def _input(self, call: ToolCall, path: str) -> orjson.Fragment | Json:
        if call.custom:
            self._losses.meaning(f"{path}.tool_calls", _NOT_JSON)
            return {"input": call.arguments}
        if not call.arguments.strip():
            return {}
        try:
            is_object = isinstance(orjson.loads(call.arguments), dict)
        except orjson.JSONDecodeError:
            is_object = False
        if not is_object:
            self._losses.impossible(f"{path}.tool_calls", _NOT_JSON)
        return orjson.Fragment(call.arguments)  # as the model wrote it, numbers and order included

    def _result(self, result: ToolResult, path: str) -> Json:
        block: Json = {"type": "tool_result", "tool_use_id": tool_id(result.id)}
        content = [shown for place, part in enumerate(result.parts) for shown in self._shown(part, f"{path}[{place}]")]
        if content:
            block["content"] = content
        if result.is_error:
            block["is_error"] = True
        return self._marks.add(block, result.cache)


def tool_id(given: str) -> str:
    """The id of a call as it may be sent: itself, or one that is made of it and no other's."""
    if _ID.fullmatch(given):
        return given
    return f"{_NOT_OF_ID.sub('_', given)}_{zlib.crc32(given.encode()):08x}"


def _thought(part: Thinking) -> list[Json]:
    """Thoughts go back to whom they came from, as they came: no other's can be proven."""
    if part.origin != NAME or not part.signature:
        return []
    if part.redacted:
        return [{"type": "redacted_thinking", "data": part.signature}]
    return [{"type": "thinking", "thinking": part.text, "signature": part.signature}]


def _place(block: Json, order: dict[str, int]) -> tuple[int, int]:
    """Results of tools first, in the order of their calls; the rest after them, as it came."""
    if block["type"] != "tool_result":
        return 1, 0
    return 0, order.get(block["tool_use_id"], len(order))
