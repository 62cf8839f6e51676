"""The providers that official clients are tested against, simulated on one socket, told apart by path.

`/chat/…` is the provider that speaks chat, `/chat.overload/…` the same one while it is overloaded. Their answers have the shapes
that the public API references show.
"""

import json
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.sdk.replies import Json, Wrong, need, reply_to
from tests.sdk.upstreams import gemini, messages, responses
from tests.sdk.upstreams.azure import Azure
from tests.sdk.upstreams.chat import Chat
from tests.sdk.upstreams.cohere import Cohere
from tests.sdk.upstreams.mistral import Mistral
from tests.sdk.upstreams.ollama import Ollama
from tests.support.provider import CLOSE, Received, Script, Step

RETRY_AFTER = "7"  # seconds
REFUSES = "This is refused, says the provider."
LIMITED = "Slow down, says the provider."
OVERLOADED = "Too much to do, says the provider."
BROKEN = "Out of order, says the provider."
_KEYS = frozenset({"authorization", "api-key", "x-api-key", "x-goog-api-key"})
_AZURES_VERSION = "2025-04-01-preview"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """One of them, as a tenant adds it: the provider's name with us, and the model's with it."""

    name: str
    title: str
    provider: str
    model: str
    about: str
    speaks: tuple[Any, ...]  # what it is spoken to in, the first where it has not what a client speaks
    base: str = ""  # what its base URL ends in
    key: str = "authorization"  # the header
    api_version: str = ""
    priced_as: str = ""

    def spoken_with(self, dialect: str) -> Any:
        """What it is spoken to in for clients of a dialect."""
        return next((spoken for spoken in self.speaks if dialect == spoken.DIALECT), self.speaks[0])


# One of each dialect.
DIALECTS = (
    Upstream(
        name="chat",
        title="OpenAI chat",
        provider="together",
        model="acme/model-1",
        about="a model that nobody has described, and that thinks aloud",
        speaks=(Chat(),),
        base="/v1",
    ),
    Upstream(
        name="responses",
        title="OpenAI Responses",
        provider="openai",
        model="gpt-5-pro",
        about="`gpt-5-pro`, which has nothing else",
        speaks=(responses,),
        base="/v1",
    ),
    Upstream(
        name="messages",
        title="Anthropic Messages",
        provider="anthropic",
        model="claude-sonnet-5",
        about="`claude-sonnet-5`",
        speaks=(messages,),
        key="x-api-key",
    ),
    Upstream(
        name="gemini",
        title="Gemini",
        provider="gemini",
        model="gemini-3.5-flash",
        about="`gemini-3.5-flash`",
        speaks=(gemini,),
        key="x-goog-api-key",
    ),
)
# Those whose chat is not quite OpenAI's.
CHATS = (
    Upstream(
        name="azure",
        title="Azure OpenAI",
        provider="azure_openai",
        model="acme-gpt",
        about=f"a deployment of `gpt-5.2`, version `{_AZURES_VERSION}`; its Responses for those who speak them",
        speaks=(Azure(), responses),
        key="api-key",
        api_version=_AZURES_VERSION,
        priced_as="gpt-5.2",
    ),
    Upstream(
        name="mistral",
        title="Mistral",
        provider="mistral",
        model="mistral-medium-2604",
        about="`mistral-medium-2604`",
        speaks=(Mistral(),),
        base="/v1",
    ),
    Upstream(
        name="cohere",
        title="Cohere",
        provider="cohere",
        model="command-a-plus-05-2026",
        about="`command-a-plus-05-2026`, at its endpoint of OpenAI's form, which shows no thoughts",
        speaks=(Cohere(),),
    ),
    Upstream(
        name="ollama",
        title="Ollama",
        provider="ollama",
        model="gemma4:31b",
        about="`gemma4:31b`, priced as `cerebras/gemma-4-31b`, on a server before 0.13.3, which has no Responses",
        speaks=(Ollama(),),
        base="/v1",
        priced_as="cerebras/gemma-4-31b",
    ),
)
UPSTREAMS = (*DIALECTS, *CHATS)
_NAMED = {upstream.name: upstream for upstream in UPSTREAMS}


def respond(received: Received) -> Script:
    """What the provider that is meant by the path answers."""
    name, _, fault = received.path.split("/")[1].partition(".")
    upstream = _NAMED[name]
    spoken = _spoken_at(upstream, received.path)
    if spoken is None:
        return Script(
            _head(404, {"Content-Type": "text/plain", "Content-Length": "18"}), [b"404 page not found"], "length"
        )
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
        _check_key(upstream, received)
        seen = spoken.read(received)
        reply = reply_to(seen, ids=spoken.IDS, proves=spoken.PROVES, counts=spoken.COUNTS)
    except Exception as exc:  # whatever a request trips over is a mistake of it: the provider says what and where
        told = f"{type(exc).__name__}: {exc}" if isinstance(exc, Wrong) else traceback.format_exc(limit=-2)
        told = f"{told} in {received.body.decode(errors='replace')[:1500]}"
        status, body = spoken.wrong(exc, told) if isinstance(spoken, Chat) else (400, spoken.refusal(400, told))
        return _whole(body, status)
    return _stream(spoken.stream(reply, received)) if seen.stream else _whole(spoken.whole(reply), 200)


def _spoken_at(upstream: Upstream, path: str) -> Any:
    if upstream.api_version and not path.endswith(f"?api-version={upstream.api_version}"):
        return None
    return next((spoken for spoken in upstream.speaks if spoken.PATH in path or spoken.STREAM_PATH in path), None)


def _check_key(upstream: Upstream, received: Received) -> None:
    given = {name.lower(): value for name, value in received.headers if name.lower() in _KEYS}
    need(given.keys() == {upstream.key}, f"keys in {sorted(given)}")
    need(given[upstream.key].startswith("Bearer ") == (upstream.key == "authorization"), "the key's form")


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
