"""Bodies that Google's Gemini would send: small, complete and fixed, for tests to script and to compare with."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.bodies import Json

MODEL = "gemini-test"
USAGE: Json = {
    "promptTokenCount": 9,
    "candidatesTokenCount": 2,
    "totalTokenCount": 14,
    "thoughtsTokenCount": 3,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 9}],
}


def content(*parts: Json, text: str = "Hello", finish: str | None = "STOP", **more: Any) -> Json:
    """The body of an answer, or of one chunk of a stream: these parts, or one that says `text`; `more` are top-level keys."""
    candidate: Json = {"content": {"parts": list(parts) or [{"text": text}], "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "usageMetadata": USAGE, "modelVersion": MODEL, "responseId": "r1", **more}


def event(data: Json) -> bytes:
    """One chunk of a stream, with the line ends that Google sends."""
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\r\n\r\n"


def chunks(*pieces: str, usage: Mapping[str, Any] = USAGE) -> Iterator[bytes]:
    """A stream that says the pieces: usage grows with each, and is whole with the last."""
    for number, piece in enumerate(pieces, 1):
        last = number == len(pieces)
        so_far = dict(usage) if last else {"promptTokenCount": 9, "totalTokenCount": 9}
        yield event(content(text=piece, finish="STOP" if last else None, usageMetadata=so_far))


def error(code: int, status: str, message: str = "Google says no.", **info: str) -> Json:
    """Google's envelope; `info` is the ErrorInfo's, such as its `reason`."""
    details = (
        [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "domain": "googleapis.com", **info}] if info else []
    )
    return {"error": {"code": code, "message": message, "status": status, "details": details}}
