"""Both ends of realtime sessions in tests: a scripted provider on a real socket, and clients for the gateway's.

    with RealtimeProvider() as provider:
        with session(tenant) as client:                 # a WebSocket to the gateway
            client.say("response.create")
            done = client.until("response.done")
            provider.line.say({"type": "rate_limits.updated"})

The provider answers as OpenAI does, in small: a session that is open, updates of it, a response with audio and text for each that
is asked for, a transcript for each item where one is wanted. What a test wants otherwise it says to `provider.line`.
"""

import asyncio
import base64
import contextlib
import json
import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.client import ClientConnection, connect

from tests.support.gateway import GatewayProcess, eventually
from tests.support.tenant import Tenant

type Event = dict[str, Any]

# Of one response: 100 tokens in, 40 of them heard and 20 read from the cache (5 heard); 50 out, 30 of them spoken.
USAGE: Event = {
    "total_tokens": 150,
    "input_tokens": 100,
    "output_tokens": 50,
    "input_token_details": {
        "text_tokens": 60,
        "audio_tokens": 40,
        "image_tokens": 0,
        "cached_tokens": 20,
        "cached_tokens_details": {"text_tokens": 15, "audio_tokens": 5, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 20, "audio_tokens": 30},
}
TRANSCRIBED: Event = {
    "type": "tokens",
    "input_tokens": 12,
    "output_tokens": 5,
    "total_tokens": 17,
    "input_token_details": {"text_tokens": 2, "audio_tokens": 10},
}
PATIENCE = 10.0
_quiet = logging.getLogger("tests.realtime")
_quiet.setLevel(logging.ERROR)


class Line:
    """One session as the provider sees it. To be used from the test's thread."""

    def __init__(self, provider: "RealtimeProvider", socket: ServerConnection) -> None:
        self._provider, self._socket = provider, socket
        assert socket.request is not None
        self.path = socket.request.path
        self.headers = {name.lower(): value for name, value in socket.request.headers.raw_items()}
        self.received: list[Event] = []
        self.session: Event = dict(provider.session)
        self.closed: tuple[int, str] | None = None
        self._responses = 0

    def say(self, event: Event | str) -> None:
        """Send an event, whatever was asked."""
        text = event if isinstance(event, str) else json.dumps(event)
        self._provider.run(self._socket.send(text))

    def send_bytes(self, data: bytes) -> None:
        """Send a message of bytes."""
        self._provider.run(self._socket.send(data))

    def close(self, code: int, reason: str = "") -> None:
        """Say farewell."""
        self._provider.run(self._socket.close(code, reason))

    def cut(self) -> None:
        """Cut the connection."""
        self._provider.loop.call_soon_threadsafe(self._socket.transport.abort)

    def stop_reading(self) -> None:
        """Take nothing more from the socket."""
        self._provider.loop.call_soon_threadsafe(self._socket.transport.pause_reading)

    def asked(self, kind: str, count: int = 1) -> list[Event]:
        """What the client has said of this type, once it has so often. Raises AssertionError."""

        def look() -> list[Event] | None:
            found = [event for event in list(self.received) if event.get("type") == kind]
            return found if len(found) >= count else None

        found = eventually(look, timeout=PATIENCE, what=f"{count} events {kind}")
        assert found is not None
        return found

    def begin(self, conversation: str | None = "conv_1") -> str:
        """A response begins; returns its id."""
        self._responses += 1
        id_ = f"resp_{self._responses}"
        self.say(
            {
                "type": "response.created",
                "response": {"id": id_, "conversation_id": conversation, "status": "in_progress"},
            }
        )
        return id_

    def end(self, id_: str, usage: Event | None = USAGE, status: str = "completed", **fields: Any) -> None:
        """A response is over."""
        self.say({"type": "response.done", "response": {"id": id_, "status": status, "usage": usage, **fields}})

    # The provider's side of the conversation, in its loop.

    async def live(self) -> None:
        provider = self._provider
        if provider.greets:
            await self._tell({"type": "session.created", "session": self.session})
        try:
            async for text in self._socket:
                event = json.loads(text)
                self.received.append(event)
                if provider.answers:
                    await self._answer(event)
        except ConnectionClosed:
            pass
        self.closed = (self._socket.close_code or 0, self._socket.close_reason or "")

    async def _tell(self, event: Event) -> None:
        await self._socket.send(json.dumps({"event_id": f"event_{time.monotonic_ns()}", **event}))

    async def _answer(self, event: Event) -> None:
        match event.get("type"):
            case "session.update":
                if refusal := self._provider.refuses_update:
                    error = {
                        "type": "invalid_request_error",
                        "code": refusal,
                        "message": "No.",
                        "event_id": event.get("event_id"),
                    }
                    await self._tell({"type": "error", "error": error})
                    return
                self.session = {**self.session, **event["session"]}
                await self._tell({"type": "session.updated", "session": self.session})
            case "response.create":
                aside = (event.get("response") or {}).get("conversation") == "none"
                await self._respond(None if aside else "conv_1")
            case "input_audio_buffer.commit":
                item = f"item_{len(self.received)}"
                await self._tell({"type": "input_audio_buffer.committed", "item_id": item})
                audio = (self.session.get("audio") or {}).get("input") or {}
                if audio.get("transcription"):
                    kind = "conversation.item.input_audio_transcription.completed"
                    await self._tell(
                        {"type": kind, "item_id": item, "transcript": "Hi", "usage": self._provider.transcribed}
                    )

    async def _respond(self, conversation: str | None) -> None:
        self._responses += 1
        id_ = f"resp_{self._responses}"
        about = {"response_id": id_}
        begun = {"id": id_, "conversation_id": conversation, "status": "in_progress"}
        await self._tell({"type": "response.created", "response": begun})
        await self._tell(
            {"type": "response.output_audio.delta", "delta": base64.b64encode(bytes(480)).decode(), **about}
        )
        await self._tell({"type": "response.output_audio_transcript.delta", "delta": "Hello", **about})
        done = {
            "id": id_,
            "conversation_id": conversation,
            "status": "completed",
            "output": [],
            "usage": self._provider.usage,
        }
        await self._tell({"type": "response.done", "response": done})


class RealtimeProvider:
    """A server of sessions in a thread of its own. A context manager."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        """`tls`: what it speaks."""
        self._tls = tls
        self.session: Event = {"object": "realtime.session", "type": "realtime", "model": "gpt-realtime"}
        self.usage: Event | None = USAGE
        self.transcribed: Event | None = TRANSCRIBED
        self.greets = self.answers = True
        self.refusals: list[tuple[int, Mapping[str, str], bytes]] = []  # HTTP answers to the next handshakes
        self.hangs = False  # handshakes are not answered
        self.refuses_update = ""
        self.lines: list[Line] = []
        self.loop = asyncio.new_event_loop()
        self._server: Server | None = None
        self._thread = threading.Thread(target=self.loop.run_forever, name="realtime-provider", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self._stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def run(self, work: Any) -> Any:
        """Do something in the provider's loop, and wait for it."""

        async def done() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(done(), self.loop).result(PATIENCE)

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._server is not None
        port = next(iter(self._server.sockets)).getsockname()[1]
        return f"http://127.0.0.1:{port}" if self._tls is None else f"https://localhost:{port}"

    @property
    def line(self) -> Line:
        """The session that was opened last, once there is one."""
        found = eventually(lambda: self.lines, timeout=PATIENCE, what="a session")
        return found[-1]

    async def _start(self) -> None:
        self._server = await serve(
            self._live,
            "127.0.0.1",
            0,
            process_request=self._greet,
            max_size=None,
            ping_interval=None,
            compression=None,
            ssl=self._tls,
            logger=_quiet,
        )

    async def _stop(self) -> None:
        assert self._server is not None
        self._server.close(close_connections=True)
        for line in self.lines:
            line._socket.transport.abort()
        await self._server.wait_closed()

    async def _greet(self, socket: ServerConnection, request: Request) -> Response | None:
        if self.hangs:
            await asyncio.sleep(60)
        if not self.refusals:
            return None
        status, headers, body = self.refusals.pop(0)
        answer = socket.respond(HTTPStatus(status), "")
        answer.body = body
        del answer.headers["Content-Length"]
        answer.headers["Content-Length"] = str(len(body))
        for name, value in headers.items():
            answer.headers[name] = value
        return answer

    async def _live(self, socket: ServerConnection) -> None:
        line = Line(self, socket)
        self.lines.append(line)
        await line.live()


class Client:
    """A client of the gateway's. `answer` is the handshake's."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        assert socket.response is not None
        self.answer = socket.response
        self.heard: list[Event] = []

    def say(self, kind: str, **fields: Any) -> None:
        """Send an event."""
        self.socket.send(json.dumps({"type": kind, **fields}))

    def next(self) -> Event:
        """The next event."""
        event: Event = json.loads(self.socket.recv(timeout=PATIENCE))
        self.heard.append(event)
        return event

    def until(self, kind: str) -> Event:
        """The next event of this type; what comes before is in `heard`."""
        while (event := self.next())["type"] != kind:
            pass
        return event

    def respond(self) -> Event:
        """Ask for a response, and wait for its end."""
        self.say("response.create")
        return self.until("response.done")

    def ended(self) -> tuple[int, str]:
        """The close code and reason of the gateway, once it has closed; events before are in `heard`."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.next()
        return self.socket.close_code or 0, self.socket.close_reason or ""


@contextlib.contextmanager
def session(
    tenant: Tenant,
    *,
    path: str = "/v1/realtime",
    query: str = "model=gpt-realtime",
    token: str | None = None,
    gateway: GatewayProcess | None = None,
    headers: Mapping[str, str] = {},
    greeted: bool = True,
    **options: Any,
) -> Iterator[Client]:
    """A session at the gateway. `token` empty: no Authorization header. Raises InvalidStatus where it is refused."""
    url = urlsplit((gateway or tenant.gateway).url)
    token = tenant.token if token is None else token
    sent = {"Authorization": f"Bearer {token}", **headers} if token else dict(headers)
    options = {"compression": None, "max_size": None, "ping_interval": None, "close_timeout": 5, **options}
    with connect(f"ws://{url.netloc}{path}?{query}", additional_headers=sent, **options) as socket:
        client = Client(socket)
        if greeted:
            client.until("session.created")
        yield client


def add_realtime(tenant: Tenant, provider: RealtimeProvider, name: str = "gpt-realtime", **options: Any) -> Any:
    """A model whose sessions are the provider's. Returns its credential."""
    return tenant.add_route(name, provider.url + "/v1", **options)


def waits(look: Callable[[], object], seconds: float = 0.3) -> bool:
    """Whether nothing comes of it for so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if look():
            return False
        time.sleep(0.02)
    return True
