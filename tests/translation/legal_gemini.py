"""What every client of Gemini's relies on in a stream and in an answer. `checked` reads one as they do, and asserts it."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from google.genai import types

REASONS = {"STOP", "MAX_TOKENS", "SAFETY", "OTHER", "MALFORMED_FUNCTION_CALL"}


@dataclass
class Heard:
    """What a client has put together of one of the answers."""

    text: str = ""
    thinking: str = ""
    signatures: list[str] = field(default_factory=list)
    calls: list[tuple[str, str, Any]] = field(default_factory=list)  # id, name, arguments
    images: list[dict[str, Any]] = field(default_factory=list)
    chunks: list[dict[str, Any]] = field(default_factory=list)  # of what it is grounded in
    finish: str = ""


@dataclass
class Stream:
    """What a client has put together of a stream."""

    choices: dict[int, Heard] = field(default_factory=dict)
    usage: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    events: int = 0

    @property
    def done(self) -> bool:
        """Whether all answers are over: there is no other mark."""
        return bool(self.choices) and all(heard.finish for heard in self.choices.values())


def checked(data: bytes) -> Stream:
    """The stream as a client puts it together. Raises AssertionError for what some client would stumble over."""
    stream = Stream()
    assert not data or data.endswith(b"\r\n\r\n")
    same: set[tuple[str, str]] = set()
    for event in data.split(b"\r\n\r\n")[:-1]:
        assert b"\n" not in event
        assert b"\r" not in event
        assert event.startswith(b"data: {"), "no names, no comments, no [DONE]"
        assert stream.error is None, "nothing follows an error"
        assert not stream.done, "nothing follows the end"
        assert stream.usage is None, "usage stands with the last event"
        stream.events += 1
        read(json.loads(event[6:]), stream, same)
    assert len(same) <= 1
    return stream


def read(response: dict[str, Any], stream: Stream, same: set[tuple[str, str]]) -> None:
    """One event of a stream, or a whole answer."""
    if "error" in response:
        assert next(iter(response)) == "error", "the first key, or Google's client does not see it"
        assert isinstance(response["error"]["code"], int)
        assert response["error"]["status"].isupper()
        stream.error = response["error"]
        return
    types.GenerateContentResponse.model_validate(response)
    assert set(response) <= {"candidates", "usageMetadata", "modelVersion", "responseId"}
    same.add((response["modelVersion"], response["responseId"]))
    assert response["candidates"]
    for candidate in response["candidates"]:
        heard = stream.choices.setdefault(candidate["index"], Heard())
        assert not heard.finish, "an answer that is over says nothing more"
        _hear(candidate, heard)
    if (usage := response.get("usageMetadata")) is not None:
        thought = usage.get("thoughtsTokenCount", 0)
        assert usage["totalTokenCount"] == usage["promptTokenCount"] + usage["candidatesTokenCount"] + thought
        assert min(value for value in usage.values() if isinstance(value, int)) >= 0
        stream.usage = usage


def _hear(candidate: dict[str, Any], heard: Heard) -> None:
    content = candidate["content"]
    assert content["role"] == "model"
    assert content["parts"], "a candidate without parts is no history for Google's client"
    for part in content["parts"]:
        assert len(part.keys() & {"text", "functionCall", "inlineData", "fileData"}) == 1
        if "thoughtSignature" in part:
            base64.b64decode(part["thoughtSignature"], validate=True)
            heard.signatures.append(part["thoughtSignature"])
        if "functionCall" in part:
            call = part["functionCall"]
            assert isinstance(call["args"], dict)
            assert call["name"]
            heard.calls.append((call.get("id", ""), call["name"], call["args"]))
        elif "text" in part:
            if part.get("thought"):
                heard.thinking += part["text"]
            else:
                heard.text += part["text"]
        else:
            heard.images.append(part)
    grounding = candidate.get("groundingMetadata", {})
    heard.chunks += grounding.get("groundingChunks", [])
    for support in grounding.get("groundingSupports", []):
        segment = support["segment"]
        said = heard.text.encode()
        assert said[segment["startIndex"] : segment["endIndex"]].decode() == segment["text"]
        assert all(0 <= index < len(heard.chunks) for index in support["groundingChunkIndices"])
    heard.finish = candidate.get("finishReason", "")
    assert heard.finish in REASONS | {""}
