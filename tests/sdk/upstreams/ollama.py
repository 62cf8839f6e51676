"""Ollama's chat."""

import json
from collections.abc import Iterator
from typing import Any

from tests.sdk.replies import CREATED, INPUT, Forbidden, Json, Reply, Seen, ToolUse, need, pieces
from tests.sdk.upstreams.chat import Chat
from tests.support.bodies import error, event
from tests.support.provider import Received


class Ollama(Chat):
    """Ollama, which looks at no field that it does not know: neither the newer cap of the output, nor `n`, nor `tool_choice`."""

    THOUGHTS = "reasoning"
    MODEL = "gemma4:31b"

    def read(self, received: Received) -> Seen:
        """The request. Raises Wrong."""
        body = received.json
        known = {name: value for name, value in body.items() if name in self.FIELDS - {"n", "tool_choice"}}
        seen = super().read(_with_body(received, known))
        seen.is_bounded = "max_tokens" in body
        return seen

    def thinks(self, effort: Any) -> bool:
        """Whether the model thinks."""
        need(effort in (None, "none", "low", "medium", "high"), f"invalid reasoning value: '{effort}'")
        return super().thinks(effort)

    def read_message(self, message: Json, seen: Seen) -> None:
        """One message of the conversation."""
        need(message["role"] in ("system", "user", "assistant", "tool"), f"role {message['role']}")
        need(
            isinstance(message.get("content"), str | list) or message.get("tool_calls"), "invalid message content type"
        )
        super().read_message(message, seen)

    def read_part(self, part: Json, seen: Seen) -> None:
        """A part of what the user says."""
        if part["type"] not in ("text", "image_url"):
            raise Forbidden("messages", "invalid message format")
        super().read_part(part, seen)

    def usage(self, reply: Reply) -> Json:
        """All of it."""
        return {"prompt_tokens": INPUT, "completion_tokens": reply.output, "total_tokens": INPUT + reply.output}

    def call(self, call: ToolUse, index: int) -> Json:
        """A call of a tool."""
        return {**super().call(call, index), "index": index}

    def message(self, reply: Reply) -> Json:
        """The whole message."""
        message: Json = {"role": "assistant", "content": reply.text}
        if reply.thoughts:
            message[self.THOUGHTS] = reply.thoughts
        if reply.calls:
            message["tool_calls"] = [self.call(call, index) for index, call in enumerate(reply.calls)]
        return message

    def envelope(self, kind: str) -> Json:
        """What is around every answer and chunk."""
        named = {"id": "chatcmpl-712", "object": kind, "created": CREATED, "model": self.MODEL}
        return {**named, "system_fingerprint": "fp_ollama"}

    def chunk(self, delta: Json, finish: str | None = None, **more: Any) -> bytes:
        """An event of a stream: every one says whose it is."""
        choice = {"index": 0, "delta": {"role": "assistant", "content": "", **delta}, "finish_reason": finish}
        return event({**self.envelope("chat.completion.chunk"), "choices": [choice], **more})

    def deltas(self, reply: Reply) -> Iterator[Json]:
        """What the chunks bring: calls whole."""
        for piece in pieces(reply.thoughts):
            yield {self.THOUGHTS: piece}
        for piece in pieces(reply.text):
            yield {"content": piece}
        if reply.calls:
            yield {"tool_calls": [self.call(call, index) for index, call in enumerate(reply.calls)]}

    def failure(self, message: str) -> bytes:
        """The event of a failure in the midst of a stream."""
        return event(error(message, kind="api_error"))

    def refusal(self, status: int, message: str) -> Json:
        """The body of a refusal."""
        return error(message, kind="invalid_request_error" if status == 400 else "api_error")


def _with_body(received: Received, body: Json) -> Received:
    return Received(connection=received.connection, path=received.path, body=json.dumps(body).encode())
