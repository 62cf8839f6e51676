"""Who speaks OpenAI's chat completions; by itself, a provider that tells its thoughts as `reasoning_content`."""

import base64
import json
from collections.abc import Iterator, Sequence
from typing import Any

from tests.sdk.replies import (
    CACHED,
    CREATED,
    FAILING,
    INPUT,
    Json,
    Reply,
    Seen,
    ToolUse,
    Wrong,
    need,
    only,
    pieces,
)
from tests.support.bodies import error, event
from tests.support.provider import Received

FIELDS = frozenset(
    {"model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "tools", "tool_choice"}
    | {"parallel_tool_calls", "response_format", "reasoning_effort", "temperature", "n", "stop", "logprobs"}
    | {"top_logprobs"}
)
_CODES = {429: "rate_limit_exceeded", 503: "overloaded"}


class Chat:
    """How one that speaks chat reads and answers. Those that differ from it say in what."""

    DIALECT = "chat"
    PATH = STREAM_PATH = "/chat/completions"
    IDS = "call_"  # what ids of calls begin with
    PROVES = False  # its thoughts are signed by nobody
    TELLS = True  # it shows its thoughts unasked
    COUNTS = False  # what it thinks, beside what it says
    OVERLOAD = 503
    FIELDS: frozenset[str] = FIELDS
    OF_MESSAGES: frozenset[str] = frozenset()  # fields of messages; empty: it looks at none that it does not know
    MODEL = "chat-2026-01-01"  # as its answers name it
    THOUGHTS = "reasoning_content"

    # --- Reading ---

    def read(self, received: Received) -> Seen:
        """The request. Raises Wrong."""
        body = received.json
        only(body, *self.FIELDS)
        seen = Seen(stream=body.get("stream") is True, thinks=self.thinks(body.get("reasoning_effort")))
        seen.shows_thoughts = seen.thinks and self.TELLS
        stop = body.get("stop") or []
        seen.stop = [stop] if isinstance(stop, str) else stop
        seen.forced = self.forced(body.get("tool_choice"), [tool["function"]["name"] for tool in body.get("tools", ())])
        seen.several, seen.logprobs = body.get("n") or 1, body.get("logprobs") is True
        if (form := body.get("response_format")) is not None:
            seen.schema = self.schema(form)
        for tool in body.get("tools", ()):
            need(tool["type"] == "function", "tool.type")
            seen.tools[tool["function"]["name"]] = tool["function"]["parameters"]
        for message in body["messages"]:
            only(message, *(self.OF_MESSAGES or message), at="messages.")
            self.read_message(message, seen)
        return seen

    def thinks(self, effort: Any) -> bool:
        """Whether the model thinks; it is asked to by an effort."""
        return effort not in (None, "none")

    def forced(self, choice: Any, offered: Sequence[str]) -> str:
        """The tool that must be called, if one must."""
        return str(choice["function"]["name"]) if isinstance(choice, dict) else ""

    def schema(self, form: Json) -> Json:
        """What the answer must look like."""
        need(form["type"] == "json_schema" and form["json_schema"]["name"], "response_format")
        schema: Json = form["json_schema"]["schema"]
        return schema

    def read_message(self, message: Json, seen: Seen) -> None:
        """One message of the conversation."""
        match message["role"]:
            case "system" | "developer":
                seen.system = self.text(message["content"])
            case "user":
                need(not seen.calls or len(seen.results) == len(seen.calls), "calls without results")
                content = message["content"]
                for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
                    self.read_part(part, seen)
            case "assistant":
                self.read_answer(message, seen)
            case "tool":
                seen.results.append((message["tool_call_id"], self.text(message["content"])))
            case role:
                raise Wrong(f"role {role}")

    def read_answer(self, message: Json, seen: Seen) -> None:
        """What the model has said before."""
        for call in message.get("tool_calls") or ():
            function = call["function"]
            need(call["type"] == "function" and isinstance(json.loads(function["arguments"]), dict), "tool_calls")
            seen.calls.append(ToolUse(call["id"], function["name"], function["arguments"]))

    def text(self, content: Any) -> str:
        """Content that is nothing but text."""
        if isinstance(content, str):
            return content
        need(all(part["type"] == "text" for part in content), "text alone goes here")
        return "".join(part["text"] for part in content)

    def read_part(self, part: Json, seen: Seen) -> None:
        """A part of what the user says."""
        match part["type"]:
            case "text":
                seen.text = part["text"]
            case "image_url":
                seen.images.append(data_url(part["image_url"]["url"]))
            case "file":
                seen.documents.append(data_url(part["file"]["file_data"]))
            case kind:
                raise Wrong(f"messages: part {kind}")

    # --- Answering ---

    def usage(self, reply: Reply) -> Json:
        """All of it."""
        return {
            "prompt_tokens": INPUT,
            "completion_tokens": reply.output,
            "total_tokens": INPUT + reply.output,
            "prompt_tokens_details": {"cached_tokens": CACHED, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": reply.reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }

    def call(self, call: ToolUse, index: int) -> Json:
        """A call of a tool. `index`: its place."""
        return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}

    def finish(self, reply: Reply) -> str:
        """Why the answer is over."""
        return {"cut": "length", "filtered": "content_filter", "": "tool_calls" if reply.calls else "stop"}[reply.ended]

    def message(self, reply: Reply) -> Json:
        """The whole message."""
        message: Json = {"role": "assistant", "content": reply.text or None, "refusal": None, "annotations": []}
        if reply.thoughts:
            message[self.THOUGHTS] = reply.thoughts
        if reply.calls:
            message["tool_calls"] = [self.call(call, index) for index, call in enumerate(reply.calls)]
        return message

    def choice(self, reply: Reply, index: int) -> Json:
        """One of the answers, whole."""
        logprobs = _logprobs(reply.text) if reply.logprobs else None
        return {
            "index": index,
            "message": self.message(reply),
            "logprobs": logprobs,
            "finish_reason": self.finish(reply),
        }

    def envelope(self, kind: str) -> Json:
        """What is around every answer and chunk."""
        return {
            "id": "chatcmpl-9f2",
            "object": kind,
            "created": CREATED,
            "model": self.MODEL,
            "service_tier": "default",
            "system_fingerprint": "fp_44709d6fcb",
        }

    def whole(self, reply: Reply) -> Json:
        """The answer."""
        choices = [self.choice(reply, index) for index in range(reply.several)]
        return {**self.envelope("chat.completion"), "choices": choices, "usage": self.usage(reply)}

    def chunk(self, delta: Json, finish: str | None = None, **more: Any) -> bytes:
        """An event of a stream."""
        choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
        return event({**self.envelope("chat.completion.chunk"), "choices": choices, "obfuscation": "k3Jd", **more})

    def stream(self, reply: Reply, received: Received) -> Iterator[bytes]:
        """The answer, piece by piece."""
        asked = bool((received.json.get("stream_options") or {}).get("include_usage"))
        usage: Json = {"usage": None} if asked else {}
        for delta in self.deltas(reply):
            yield self.chunk(delta, **usage)
        yield self.chunk({}, self.finish(reply), **usage)
        if asked:
            yield self.chunk({}, choices=[], usage=self.usage(reply))
        yield event("[DONE]")

    def deltas(self, reply: Reply) -> Iterator[Json]:
        """What the chunks bring."""
        yield {"role": "assistant", "content": "", "refusal": None}
        for piece in pieces(reply.thoughts):
            yield {self.THOUGHTS: piece}
        for piece in pieces(reply.text):
            yield {"content": piece}
        for index, call in enumerate(reply.calls):
            begun = {**self.call(call, index), "function": {"name": call.name, "arguments": ""}}
            yield {"tool_calls": [{"index": index, **begun}]}
            for piece in pieces(call.arguments):
                yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}

    def begun(self) -> Iterator[bytes]:
        """A stream that has no end."""
        for delta in self.deltas(Reply(text=FAILING)):
            yield self.chunk(delta)

    def failure(self, message: str) -> bytes:
        """The event of a failure in the midst of a stream."""
        return event(error(message, kind="server_error", code="server_error"))

    def early(self, message: str) -> bytes:
        """The same, which is all that comes."""
        return self.failure(message)

    def refusal(self, status: int, message: str) -> Json:
        """The body of a refusal."""
        kinds = {400: "invalid_request_error", 429: "rate_limit_error", 503: "server_error"}
        param = "messages" if status == 400 else None
        return error(message, kind=kinds[status], code=_CODES.get(status), param=param)

    def wrong(self, exc: Exception, told: str) -> tuple[int, Json]:
        """How it refuses a request that is wrong: status and body."""
        return 400, self.refusal(400, told)


def data_url(url: str) -> tuple[str, bytes]:
    """Media type and content. Raises Wrong."""
    head, comma, data = url.partition(";base64,")
    need(comma and head.startswith("data:"), f"no data URL: {url[:40]}")
    return head.removeprefix("data:"), base64.b64decode(data, validate=True)


def _logprobs(text: str) -> Json:
    token = {"token": text, "logprob": -0.25, "bytes": list(text.encode())}
    return {"content": [{**token, "top_logprobs": [token]}], "refusal": None}
