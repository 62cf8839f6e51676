"""What every client of OpenAI's chat relies on in a stream. `checked` reads one as they do, and asserts it."""

import json
from dataclasses import dataclass, field
from typing import Any

from openai.types.chat import ChatCompletionChunk

FINISHES = {"stop", "length", "tool_calls", "content_filter", "function_call"}


@dataclass
class Heard:
    """What a client has put together of one of the answers."""

    role: str = ""
    content: str = ""
    refusal: str = ""
    reasoning: str = ""
    details: list[dict[str, Any]] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)  # id, name, arguments, type, extra_content
    annotations: list[dict[str, Any]] = field(default_factory=list)
    images: list[dict[str, Any]] = field(default_factory=list)
    finish: str = ""


@dataclass
class Stream:
    """What a client has put together of a stream."""

    choices: dict[int, Heard] = field(default_factory=dict)
    usage: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    done: bool = False
    events: int = 0  # comments too


def checked(data: bytes, *, include_usage: bool) -> Stream:
    """The stream as a client puts it together. Raises AssertionError for what some client would stumble over."""
    stream = Stream()
    assert not data or data.endswith(b"\n\n")
    same: set[tuple[str, int, str]] = set()
    for event in data.split(b"\n\n")[:-1]:
        assert b"\n" not in event
        assert not stream.done, "nothing follows [DONE]"
        assert stream.error is None, "nothing follows an error"
        stream.events += 1
        if event.startswith(b":"):
            continue
        assert event.startswith(b"data: ")
        if event == b"data: [DONE]":
            stream.done = True
            continue
        chunk = json.loads(event[6:])
        if "error" in chunk:
            _check_error(chunk)
            stream.error = chunk["error"]
            continue
        ChatCompletionChunk.model_validate(chunk, strict=True)
        same.add((chunk["id"], chunk["created"], chunk["model"]))
        assert chunk["object"] == "chat.completion.chunk"
        assert stream.usage is None, "usage is last"
        if chunk["choices"]:
            assert ("usage" in chunk) == include_usage
            assert chunk.get("usage") is None
            for choice in chunk["choices"]:
                assert choice["index"] <= len(stream.choices), "answers begin in the order of their numbers"
                _hear(stream.choices.setdefault(choice["index"], Heard()), choice)
        else:
            assert include_usage, "only who asks gets a chunk without choices"
            assert all(heard.finish for heard in stream.choices.values()), "usage comes after every finish"
            _check_usage(chunk["usage"])
            stream.usage = chunk["usage"]
    assert len(same) <= 1, "id, created and model stay the same"
    if stream.done:
        assert stream.choices
        assert all(heard.finish for heard in stream.choices.values())
        for heard in stream.choices.values():
            for call in heard.calls:
                assert call["type"] == "custom" or isinstance(json.loads(call["arguments"]), dict)
    return stream


def _check_error(chunk: dict[str, Any]) -> None:
    assert set(chunk) == {"error"}
    error = chunk["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str)
    assert isinstance(error["type"], str)
    assert error["type"]
    assert error["code"] is None or isinstance(error["code"], str)


def _check_usage(usage: dict[str, Any]) -> None:
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]
    assert usage["prompt_tokens_details"]["cached_tokens"] <= usage["prompt_tokens"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] <= usage["completion_tokens"]


def _hear(heard: Heard, choice: dict[str, Any]) -> None:
    assert not heard.finish, "an answer that is over says nothing more"
    assert "logprobs" in choice
    delta = choice["delta"]
    if "role" in delta:
        assert not heard.role, "role comes once: clients put repeated texts together"
        heard.role = delta["role"]
    assert heard.role == "assistant", "role comes first"
    heard.content += delta.get("content") or ""
    heard.refusal += delta.get("refusal") or ""
    heard.reasoning += delta.get("reasoning_content") or ""
    for name, kept in (
        ("reasoning_details", heard.details),
        ("annotations", heard.annotations),
        ("images", heard.images),
    ):
        for item in delta.get(name) or []:
            assert item["index"] == len(kept), "whatever is in a list has an index, each its own"
            kept.append(item)
    for call in delta.get("tool_calls") or []:
        _hear_call(heard.calls, call)
    if choice["finish_reason"] is not None:
        assert choice["finish_reason"] in FINISHES
        heard.finish = choice["finish_reason"]


def _hear_call(calls: list[dict[str, Any]], call: dict[str, Any]) -> None:
    index = call["index"]
    if index == len(calls):
        assert call["id"]
        inner = call[call["type"]]
        assert inner["name"]
        arguments = inner["input" if call["type"] == "custom" else "arguments"]
        calls.append(
            {
                "id": call["id"],
                "type": call["type"],
                "name": inner["name"],
                "arguments": arguments,
                "extra_content": call.get("extra_content"),
            }
        )
        return
    assert 0 <= index < len(calls), "calls are numbered without gaps"
    kind = calls[index]["type"]
    assert set(call) == {"index", kind}, "id, type and name come once: clients put repeated texts together"
    (piece,) = call[kind].values()
    assert set(call[kind]) <= {"arguments", "input"}
    calls[index]["arguments"] += piece
