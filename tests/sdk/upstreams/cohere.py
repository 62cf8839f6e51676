"""Cohere's chat of OpenAI's form."""

from collections.abc import Sequence
from typing import Any

from tests.sdk.replies import CREATED, INPUT, Forbidden, Json, Reply, Seen, only
from tests.sdk.upstreams.chat import Chat
from tests.support.bodies import event


class Cohere(Chat):
    """Cohere's endpoint of OpenAI's form, with the fields that its documentation lists. It shows none of its thoughts there."""

    PATH = STREAM_PATH = "/compatibility/v1/chat/completions"
    TELLS = False
    FIELDS = frozenset(
        {"model", "messages", "stream", "stream_options", "reasoning_effort", "response_format", "tools", "tool_choice"}
        | {"temperature", "max_tokens", "max_completion_tokens", "stop", "seed", "top_p", "frequency_penalty"}
        | {"presence_penalty", "logprobs"}
    )
    MODEL = "command-a-plus-05-2026"

    def thinks(self, effort: Any) -> bool:
        """Whether the model thinks."""
        if effort not in (None, "none", "high"):
            raise Forbidden("reasoning_effort", "only none and high are supported")
        return bool(effort == "high")

    def forced(self, choice: Any, offered: Sequence[str]) -> str:
        """The tool that must be called: the only one that is offered, where one must."""
        if choice not in (None, "auto", "none", "required"):
            raise Forbidden("tool_choice", "must be one of auto, none, required")
        return offered[0] if choice == "required" else ""

    def schema(self, form: Json) -> Json:
        """What the answer must look like."""
        if form["type"] != "json_object":
            raise Forbidden("response_format", "type must be json_object, with a schema")
        only(form, "type", "schema", at="response_format.")
        schema: Json = form["schema"]
        return schema

    def usage(self, reply: Reply) -> Json:
        """All of it."""
        return {"prompt_tokens": INPUT, "completion_tokens": reply.output, "total_tokens": INPUT + reply.output}

    def envelope(self, kind: str) -> Json:
        """What is around every answer and chunk."""
        return {"id": "f6b5c9d4-5a1d-4a7e-9f4e-5b1f3c7f2a10", "object": kind, "created": CREATED, "model": self.MODEL}

    def refusal(self, status: int, message: str) -> Json:
        """The body of a refusal."""
        return {"id": "9d0a1c7e-2f3b-4a55-8a0e-6f1b2c3d4e5f", "message": message}

    def failure(self, message: str) -> bytes:
        """The event of a failure in the midst of a stream."""
        return event(self.refusal(500, message))

    def read_part(self, part: Json, seen: Seen) -> None:
        """A part of what the user says."""
        if part["type"] == "file":
            raise Forbidden("messages", "content of type file is not supported")
        super().read_part(part, seen)
