"""Mistral's chat."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from tests.sdk.replies import CREATED, INPUT, Forbidden, Json, Reply, Seen, ToolUse, Wrong, need, only, pieces
from tests.sdk.upstreams.chat import Chat, data_url
from tests.support.bodies import event
from tests.support.provider import Received


class Mistral(Chat):
    """Mistral: it takes no field that it does not know, and makes a list of its content where it has thought."""

    IDS = "Tn8Wq"  # nine letters and digits, with what follows
    FIELDS = frozenset(
        {"model", "messages", "temperature", "top_p", "max_tokens", "stream", "stop", "random_seed", "metadata", "n"}
        | {"response_format", "tools", "tool_choice", "presence_penalty", "frequency_penalty", "prediction"}
        | {"parallel_tool_calls", "reasoning_effort", "prompt_mode", "prompt_cache_key", "safe_prompt", "guardrails"}
        | {"logprobs", "top_logprobs"}
    )
    OF_MESSAGES = frozenset({"role", "content", "tool_calls", "tool_call_id", "name", "prefix"})
    MODEL = "mistral-medium-2604"

    def read(self, received: Received) -> Seen:
        """The request. Raises Wrong."""
        roles = [message["role"] for message in received.json["messages"]]
        for before, role in zip(["system", *roles], roles, strict=False):
            expected = {
                "system": "system user",
                "user": "assistant",
                "assistant": "user tool",
                "tool": "tool assistant",
            }
            need(role in expected[before].split(), f"Expected last role, but got {role} after {before}")
        need(roles[-1] in ("user", "tool"), "the last message is the user's, or a tool's")
        return super().read(received)

    def thinks(self, effort: Any) -> bool:
        """Whether the model thinks."""
        need(effort in (None, "none", "high"), f"reasoning_effort: Input should be 'none' or 'high', not {effort}")
        return bool(effort == "high")

    def forced(self, choice: Any, offered: Sequence[str]) -> str:
        """The tool that must be called, if one must."""
        need(isinstance(choice, dict) or choice in (None, "auto", "none", "any", "required"), "tool_choice")
        return offered[0] if choice in ("any", "required") else super().forced(choice, offered)

    def read_answer(self, message: Json, seen: Seen) -> None:
        """What the model has said before."""
        for call in message.get("tool_calls") or ():
            length = len(call["id"])
            need(call["id"].isalnum() and length == 9, f"Tool call id was {call['id']} but must be of length 9.")
        content = message["content"]
        for part in content if isinstance(content, list) else ():
            need(part["type"] in ("text", "thinking"), "content")
        super().read_answer(message, seen)

    def read_part(self, part: Json, seen: Seen) -> None:
        """A part of what the user says."""
        match part["type"]:
            case "document_url":
                only(part, "type", "document_url", "document_name", at="messages.")
                seen.documents.append(data_url(part["document_url"]))
            case "file":
                only(part, "type", "file_id", at="messages.content.")
                raise Wrong("no such file")
            case _:
                super().read_part(part, seen)

    def usage(self, reply: Reply) -> Json:
        """All of it."""
        return {"prompt_tokens": INPUT, "completion_tokens": reply.output, "total_tokens": INPUT + reply.output}

    def call(self, call: ToolUse, index: int) -> Json:
        """A call of a tool: its arguments may come as what they mean."""
        function = {"name": call.name, "arguments": json.loads(call.arguments)}
        return {"id": call.id, "type": "function", "function": function, "index": index}

    def finish(self, reply: Reply) -> str:
        """Why the answer is over."""
        return "model_length" if reply.ended == "cut" else super().finish(reply)

    def message(self, reply: Reply) -> Json:
        """The whole message."""
        content: Any = reply.text
        if reply.thoughts:
            content = [_thinking(reply.thoughts), *([{"type": "text", "text": reply.text}] if reply.text else [])]
        calls = [self.call(call, index) for index, call in enumerate(reply.calls)] or None
        return {"role": "assistant", "content": content, "tool_calls": calls, "prefix": False}

    def envelope(self, kind: str) -> Json:
        """What is around every answer and chunk."""
        return {"id": "cmpl-e5cc70bb28c444948073e77776eb30ef", "object": kind, "created": CREATED, "model": self.MODEL}

    def chunk(self, delta: Json, finish: str | None = None, **more: Any) -> bytes:
        """An event of a stream."""
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return event({**self.envelope("chat.completion.chunk"), "choices": [choice], **more})

    def stream(self, reply: Reply, received: Received) -> Iterator[bytes]:
        """The answer, piece by piece: its usage is beside the last of them."""
        for delta in self.deltas(reply):
            yield self.chunk(delta)
        yield self.chunk({"content": ""}, self.finish(reply), usage=self.usage(reply))
        yield event("[DONE]")

    def deltas(self, reply: Reply) -> Iterator[Json]:
        """What the chunks bring: calls whole, and text in a list where it follows on thoughts."""
        yield {"role": "assistant", "content": ""}
        for piece in pieces(reply.thoughts):
            yield {"content": [_thinking(piece)]}
        for number, piece in enumerate(pieces(reply.text)):
            yield {"content": [{"type": "text", "text": piece}] if reply.thoughts and not number else piece}
        if reply.calls:
            yield {"content": "", "tool_calls": [self.call(call, index) for index, call in enumerate(reply.calls)]}

    def failure(self, message: str) -> bytes:
        """The event of a failure in the midst of a stream."""
        return event(self.refusal(503, message))

    def refusal(self, status: int, message: str) -> Json:
        """The body of a refusal."""
        kinds = {400: "invalid_request_error", 429: "service_tier_capacity_exceeded", 503: "internal_server_error"}
        codes = {400: None, 429: "3505", 503: "3000"}
        said = {"object": "error", "message": message, "type": kinds[status], "param": None, "code": codes[status]}
        return {**said, "raw_status_code": status}

    def wrong(self, exc: Exception, told: str) -> tuple[int, Json]:
        """How it refuses a request that is wrong: unknown fields one by one."""
        if not isinstance(exc, Forbidden):
            return 400, self.refusal(400, told)
        place = {"loc": ["body", *exc.field.split(".")], "msg": "Extra inputs are not permitted", "input": told}
        detail = [{"type": "extra_forbidden", **place}]
        said = {"message": {"detail": detail}, "type": "invalid_request_error", "param": None, "code": None}
        return 422, {"object": "error", **said, "raw_status_code": 422}


def _thinking(text: str) -> Json:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}
