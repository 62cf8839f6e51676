"""The providers that official clients are tested against: one of each dialect, simulated on one socket, told apart by path.

`/chat/…` is the provider that speaks chat, `/chat.overload/…` the same one while it is overloaded. Their answers have the shapes
that the public API references show.
"""

import json
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType

from tests.sdk.replies import Json, Wrong, reply_to
from tests.sdk.upstreams import chat, gemini, messages, responses
from tests.support.provider import CLOSE, Received, Script, Step

SPOKEN: Mapping[str, ModuleType] = {"chat": chat, "responses": responses, "messages": messages, "gemini": gemini}
RETRY_AFTER = "7"  # seconds
REFUSES = "This is refused, says the provider."
LIMITED = "Slow down, says the provider."
OVERLOADED = "Too much to do, says the provider."
BROKEN = "Out of order, says the provider."


@dataclass(frozen=True, slots=True)
class Upstream:
    """One of them, as a tenant adds it: the provider's name with us, and the model's with it."""

    name: str
    title: str
    provider: str
    model: str
    about: str
    base: str = ""  # what its base URL ends in


UPSTREAMS = (
    Upstream(
        "chat",
        "OpenAI chat",
        "together",
        "acme/model-1",
        "a model that nobody has described, and that thinks aloud",
        "/v1",
    ),
    Upstream("responses", "OpenAI Responses", "openai", "gpt-5-pro", "`gpt-5-pro`, which has nothing else", "/v1"),
    Upstream("messages", "Anthropic Messages", "anthropic", "claude-sonnet-5", "`claude-sonnet-5`"),
    Upstream("gemini", "Gemini", "gemini", "gemini-3.5-flash", "`gemini-3.5-flash`"),
)


def respond(received: Received) -> Script:
    """What the provider that is meant by the path answers."""
    name, _, fault = received.path.split("/")[1].partition(".")
    spoken = SPOKEN[name]
    statuses = {"refuses": (400, REFUSES), "limits": (429, LIMITED), "overload": (spoken.OVERLOAD, OVERLOADED)}
    if fault in statuses:
        status, message = statuses[fault]
        headers = {"retry-after": RETRY_AFTER} if status == 429 and name != "gemini" else {}
        return _whole(spoken.refusal(status, message), status, headers)
    if fault == "early":
        return _stream([spoken.early(BROKEN)])
    if fault == "breaks":
        return _stream([*spoken.begun(), CLOSE])
    if fault == "fails":
        return _stream([*spoken.begun(), spoken.failure(BROKEN)])
    try:
        if not (spoken.PATH in received.path or getattr(spoken, "STREAM_PATH", spoken.PATH) in received.path):
            raise Wrong(f"asked at {received.path}")
        seen = spoken.read(received)
        reply = reply_to(seen, ids=spoken.IDS, proves=spoken.PROVES)
    except Exception as exc:  # whatever a request trips over is a mistake of it: the provider says what and where
        told = f"{type(exc).__name__}: {exc}" if isinstance(exc, Wrong) else traceback.format_exc(limit=-2)
        return _whole(spoken.refusal(400, f"{told} in {received.body.decode(errors='replace')[:1500]}"), 400)
    return _stream(spoken.stream(reply, received)) if seen.stream else _whole(spoken.whole(reply), 200)


def _whole(body: Json, status: int, headers: Mapping[str, str] = {}) -> Script:
    raw = json.dumps(body, ensure_ascii=False).encode()
    told = {"Content-Type": "application/json", "Content-Length": str(len(raw)), **headers}
    return Script(_head(status, told), [raw], "length")


def _stream(steps: Iterable[Step]) -> Script:
    return Script(
        _head(200, {"Content-Type": "text/event-stream; charset=utf-8", "Transfer-Encoding": "chunked"}),
        list(steps),
        "chunked",
    )


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode()
