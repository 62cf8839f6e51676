"""A scripted provider on a real socket, so that timeouts, connection reuse and disconnects are those of production.

    with FakeProvider() as upstream:
        upstream.streams("Hel", "lo", HANG)
        ...                                         # point a client at upstream.url
        assert upstream.hung_up.wait(timeout=2)     # the client went away while we were still answering

Each request takes the next script from the queue. When the queue is empty the provider answers by itself, as OpenAI
would, with a small fixed body that suits the path (see `bodies.py`), or with the script given with `always=True`.
Nothing here waits for a fixed time: a script pauses on a `threading.Event` that the test sets, or hangs.
"""

import asyncio
import contextlib
import enum
import gzip as gzip_codec
import json
import socket
import struct
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal, Self

import httptools

from tests.support import bodies

type Headers = Mapping[str, str] | Sequence[tuple[str, str]]
type Framing = Literal["length", "chunked", "until-close"]


class Ending(enum.Enum):
    """What a script may end with instead of the end of the answer."""

    HANG = "stay silent with the connection open, until the client leaves"
    CLOSE = "close the connection in order, whatever is still owed (no final chunk, or not even headers)"
    RESET = "cut the connection with a TCP reset"


HANG, CLOSE, RESET = Ending.HANG, Ending.CLOSE, Ending.RESET

type Step = bytes | threading.Event | Ending
"""Bytes are handed to the socket at once and alone; an event holds the script until it is set; an ending ends it."""


@dataclass(slots=True, eq=False)
class Received:
    """One request as it arrived, and what became of its answer."""

    connection: int  # 1 for the first connection the provider accepted, 2 for the second, …
    method: str = ""
    path: str = ""  # with its query, undecoded
    headers: list[tuple[str, str]] = field(default_factory=list)  # in order, names as they were spelled
    body: bytes = b""
    sent: bytearray = field(default_factory=bytearray)  # the answer's body so far, without HTTP's chunk framing
    complete: threading.Event = field(default_factory=threading.Event)  # the whole request has been read
    answered: threading.Event = field(default_factory=threading.Event)  # the script has been played to its end
    hung_up: threading.Event = field(default_factory=threading.Event)  # the client left before that
    hung_up_at: float | None = None  # time.monotonic() of that moment

    @property
    def json(self) -> Any:
        """The body parsed as JSON. Raises ValueError if it is none."""
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """The first header of that name, in any case, or None."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class Script:
    """How one request is answered. `head` None means that `steps` are the connection's bytes, status line included."""

    head: bytes | None
    steps: Iterable[Step]
    framing: Framing = "until-close"
    before_body: bool = False  # answer as soon as the request's headers are in, as servers do that refuse a large body


type Responder = Callable[[Received], Script]


class FakeProvider:
    """A provider that answers what the test scripted. A context manager; `url` is its origin, without `/v1`.

    Thread-safe: scripts may be added and requests read while it serves.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._address = (host, port)
        self._queue: deque[Script | Responder] = deque()
        self._default: Script | Responder = _suitable
        self._thread = threading.Thread(target=self._run, name="fake-provider", daemon=True)
        self._ready = threading.Event()
        self._failure: OSError | None = None
        self._news = threading.Condition()
        self._seen = 0
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._server: asyncio.Server
        self._open: set[_Connection] = set()
        self.requests: list[Received] = []  # in order of arrival of their headers
        self.connections = 0  # accepted since the start
        self.hung_up = threading.Event()  # some client left before its answer was complete
        self.hung_up_at: float | None = None  # time.monotonic() of the latest such moment
        self.url = ""

    # Scripts

    def answers(
        self,
        body: Any = None,
        *,
        status: int = 200,
        headers: Headers = (),
        gzip: bool = False,
        before_body: bool = False,
        always: bool = False,
    ) -> None:
        """Answer with `body` (bytes as they are, text as UTF-8, anything else as JSON), whole, with its length.

        `always` makes it the answer to every request for which nothing is queued.
        """
        raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else _json(body)
        if gzip:
            raw, headers = gzip_codec.compress(raw), [*_pairs(headers), ("Content-Encoding", "gzip")]
        head = _head(status, headers, {"Content-Type": "application/json", "Content-Length": str(len(raw))})
        self._add(Script(head, [raw] if raw else [], framing="length", before_body=before_body), always=always)

    def fails(self, status: int, message: str = "The server had an error.", **rest: Any) -> None:
        """Answer with OpenAI's error envelope; `kind` (its type), `code`, `param` go inside, others as in `answers`."""
        envelope = {key: rest.pop(key) for key in ("kind", "code", "param") if key in rest}
        self.answers(bodies.error(message, **envelope), status=status, **rest)

    def streams(
        self,
        *pieces: str | bodies.Json | Step,
        usage: bodies.Json | None = bodies.USAGE,
        model: str = "gpt-test",
        headers: Headers = (),
        always: bool = False,
    ) -> None:
        """Stream a chat completion: one chunk per text, then the finish chunk, usage if it was asked for, `[DONE]`.

        A dict is sent as an event of its own, bytes as they are. After an ending (`HANG`, …) nothing follows.
        `usage` None stands for a provider that never reports it.
        """

        def script(request: Received) -> Script:
            return _chat_stream(request, pieces, usage=usage, model=model, headers=headers)

        self._add(script, always=always)

    def streams_raw(
        self,
        steps: Iterable[Step],
        *,
        status: int = 200,
        headers: Headers = (),
        framing: Framing = "chunked",
        gzip: bool = False,
        always: bool = False,
    ) -> None:
        """Stream exactly these bytes, each element flushed alone (and an HTTP chunk of its own if so framed).

        Two flushes may still reach the reader in one read; put a `threading.Event` between them to keep them apart.
        A generator is consumed as fast as the client reads, so an endless one shows what a slow client lets through.
        `gzip` compresses the stream, each element flushed by the compressor. With framing `length`, the caller gives
        Content-Length in `headers`.
        """
        if gzip:
            steps, headers = _compressed(steps), [*_pairs(headers), ("Content-Encoding", "gzip")]
        preset = {"Content-Type": "text/event-stream; charset=utf-8"}
        if framing == "chunked":
            preset["Transfer-Encoding"] = "chunked"
        elif framing == "until-close":
            preset["Connection"] = "close"
        self._add(Script(_head(status, headers, preset), steps, framing), always=always)

    def sends(self, *steps: Step, keep_alive: bool = False, before_body: bool = False, always: bool = False) -> None:
        """Send exactly these bytes, status line and headers included; then close, unless `keep_alive`."""
        framing: Framing = "length" if keep_alive else "until-close"
        self._add(Script(None, steps, framing, before_body), always=always)

    def hangs(self, *, always: bool = False) -> None:
        """Read the request and never answer."""
        self.sends(HANG, always=always)

    def replies(self, responder: Responder, *, always: bool = False) -> None:
        """Let a function of the request write the script; it runs on the provider's thread and must not block."""
        self._add(responder, always=always)

    # What happened

    def next_request(self, timeout: float = 5) -> Received:
        """The next request not yet handed out by this method, whole. Raises TimeoutError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self._news:
            if not self._news.wait_for(lambda: len(self.requests) > self._seen, timeout):
                raise TimeoutError(f"no request reached the fake provider within {timeout} s")
            request = self.requests[self._seen]
            self._seen += 1
        if not request.complete.wait(max(0.0, deadline - time.monotonic())):
            raise TimeoutError(f"the body of {request.method} {request.path} did not arrive within {timeout} s")
        return request

    @property
    def open_connections(self) -> int:
        """How many connections are open now, idle ones included."""
        return len(self._open)

    def reset(self) -> None:
        """Forget requests, hang-ups and scripts; connections stay open."""
        self._queue.clear()
        self._default = _suitable
        self.hung_up.clear()
        self.hung_up_at = None
        with self._news:
            self.requests.clear()
            self._seen = 0

    def close_idle_connections(self) -> None:
        """Close, in order, the connections on which no request is being answered, as servers do after a while."""
        done = threading.Event()

        def close() -> None:
            for connection in [each for each in self._open if each.idle]:
                connection.close()
            done.set()

        self._loop.call_soon_threadsafe(close)
        done.wait()

    # Serving

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if self._failure:
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _add(self, script: Script | Responder, *, always: bool) -> None:
        if always:
            self._default = script
        else:
            self._queue.append(script)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            self._server = await self._loop.create_server(lambda: _Connection(self), *self._address, backlog=1024)
        except OSError as exc:
            self._failure = exc
            return
        finally:
            if self._failure:
                self._ready.set()
        host, port = self._server.sockets[0].getsockname()[:2]
        self.url = f"http://{host}:{port}"
        self._ready.set()
        await self._stop.wait()
        self._server.close()
        for connection in list(self._open):
            connection.close(reset=True)
        await self._server.wait_closed()

    # Called by connections, on the loop's thread

    def _arrived(self, request: Received) -> None:
        with self._news:
            self.requests.append(request)
            self._news.notify_all()

    def _script_for(self, request: Received) -> Script:
        script = self._queue.popleft() if self._queue else self._default
        return script if isinstance(script, Script) else script(request)

    def _answers_before_body(self) -> bool:
        script = self._queue[0] if self._queue else self._default
        return isinstance(script, Script) and script.before_body

    def _left(self, request: Received) -> None:
        self.hung_up_at = request.hung_up_at = time.monotonic()
        request.hung_up.set()
        self.hung_up.set()


class _Connection(asyncio.Protocol):
    """One client connection: parses requests and plays the script of each."""

    def __init__(self, provider: FakeProvider) -> None:
        self._provider = provider
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._number = 0
        self._request: Received | None = None  # from its first byte until its answer is complete
        self._target = bytearray()
        self._body = bytearray()
        self._early = False  # the answer began before the request's body was read
        self._player: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    @property
    def idle(self) -> bool:
        return self._request is None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=0)  # so that a pause means the client's window is full, nothing else
        self._provider.connections += 1
        self._number = self._provider.connections
        self._provider._open.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._provider._open.discard(self)
        self._writable.set()
        if self._player:
            self._player.cancel()
        if self._request and not self._request.answered.is_set():
            self._provider._left(self._request)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # httptools' callbacks

    def on_message_begin(self) -> None:
        if self._request:  # no client of ours sends a request before the last one's answer
            raise httptools.HttpParserError("pipelined request")
        self._request, self._early = Received(self._number), False
        self._target, self._body = bytearray(), bytearray()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        assert self._request
        self._request.headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        request = self._request
        assert request
        request.method = self._parser.get_method().decode()
        request.path = self._target.decode("latin-1")
        self._provider._arrived(request)
        self._early = self._provider._answers_before_body()
        if self._early:
            self._begin(request)
        elif (request.header("expect") or "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        request = self._request
        assert request
        request.body = bytes(self._body)
        request.complete.set()
        if not self._early:
            self._begin(request)

    # Answers

    def close(self, *, reset: bool = False) -> None:
        """Close from our side, so that it does not count as the client's hanging up."""
        if self._request:
            self._request.answered.set()
        if reset:
            linger = struct.pack("ii", 1, 0)  # on, 0 s: the kernel drops what is unsent and sends RST instead of FIN
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._transport.abort()
        else:
            self._transport.close()

    def _begin(self, request: Received) -> None:
        script = self._provider._script_for(request)
        self._player = asyncio.get_running_loop().create_task(self._play(request, script))

    async def _play(self, request: Received, script: Script) -> None:
        if script.head is not None:
            await self._write(script.head)
        for step in script.steps:
            await asyncio.sleep(0)  # other connections' turn; from here to the answer's end there is no other pause
            match step:
                case bytes():
                    framed = b"%x\r\n%b\r\n" % (len(step), step) if script.framing == "chunked" and step else step
                    request.sent += step
                    await self._write(framed)
                case threading.Event():
                    await _set(step)
                case Ending.HANG:
                    await asyncio.get_running_loop().create_future()  # until connection_lost cancels us
                case Ending.CLOSE | Ending.RESET:
                    self.close(reset=step is RESET)
                    return
        if script.framing == "chunked":
            await self._write(b"0\r\n\r\n")
        request.answered.set()
        if script.framing == "until-close" or not request.complete.is_set():
            self.close()  # with part of a request still to come, the connection cannot carry another
        else:
            self._request = None

    async def _write(self, data: bytes) -> None:
        self._transport.write(data)
        await self._writable.wait()  # does not yield unless the client has stopped reading


async def _set(event: threading.Event) -> None:
    """Wait for a thread's event without holding up the loop. The helper thread ends with the wait."""
    if event.is_set():
        return
    loop, done, cancelled = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def wait() -> None:
        while not event.wait(0.02):  # looks up now and then whether anyone still cares
            if cancelled.is_set():
                return
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=wait, name="fake-provider-gate", daemon=True).start()
    try:
        await done.wait()
    finally:
        cancelled.set()


@contextlib.contextmanager
def unreachable() -> Iterator[str]:
    """The URL of a host that never completes a connection: its queue of connections is full. For connect timeouts."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        # Linux queues one connection more than it was told; further ones are dropped without an answer.
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        host, port = listener.getsockname()
        yield f"http://{host}:{port}"


def closed_port() -> str:
    """A URL on which nothing listens, so that a connection is refused."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host, port = probe.getsockname()
        return f"http://{host}:{port}"


# How scripts are made


def _json(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def _pairs(headers: Headers) -> list[tuple[str, str]]:
    return list(headers.items()) if isinstance(headers, Mapping) else list(headers)


def _head(status: int, headers: Headers, preset: Mapping[str, str]) -> bytes:
    """Status line and headers; `preset` yields to a header of the same name among the test's own."""
    own = _pairs(headers)
    taken = {name.lower() for name, _ in own}
    lines = [*((name, value) for name, value in preset.items() if name.lower() not in taken), *own]
    reason = HTTPStatus(status).phrase if status in HTTPStatus else "Unknown"
    text = f"HTTP/1.1 {status} {reason}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"{text}\r\n".encode("latin-1")


def _compressed(steps: Iterable[Step]) -> Iterator[Step]:
    compressor = zlib.compressobj(wbits=31)
    for step in steps:
        if isinstance(step, bytes):
            yield compressor.compress(step) + compressor.flush(zlib.Z_SYNC_FLUSH)
        else:
            yield step
    yield compressor.flush()


def _chat_stream(
    request: Received,
    pieces: Iterable[str | bodies.Json | Step],
    *,
    usage: bodies.Json | None,
    model: str,
    headers: Headers = (),
) -> Script:
    body = request.json if request.body else {}
    asked = bool((body.get("stream_options") or {}).get("include_usage"))
    extra: bodies.Json = {"usage": None} if asked and usage else {}
    steps: list[Step] = []
    role: bodies.Json = {"role": "assistant"}
    for piece in pieces:
        if isinstance(piece, str):
            steps.append(bodies.event(bodies.chunk({**role, "content": piece}, model=model, **extra)))
            role = {}
        elif isinstance(piece, dict):
            steps.append(bodies.event(piece))
        else:
            steps.append(piece)
    if not (steps and isinstance(steps[-1], Ending)):
        steps.append(bodies.event(bodies.chunk({}, finish="stop", model=model, **extra)))
        if extra:
            steps.append(bodies.event(bodies.chunk({}, model=model, choices=[], usage=usage)))
        steps.append(bodies.event("[DONE]"))
    preset = {"Content-Type": "text/event-stream; charset=utf-8", "Transfer-Encoding": "chunked"}
    return Script(_head(200, headers, preset), steps, "chunked")


def _suitable(request: Received) -> Script:
    """What OpenAI would answer, in small: chosen by the path's ending and the body's `stream`."""
    body: bodies.Json = {}
    with contextlib.suppress(ValueError):
        parsed = request.json
        body = parsed if isinstance(parsed, dict) else {}
    model, path = str(body.get("model") or "gpt-test"), request.path.partition("?")[0].rstrip("/")
    if path.endswith("/chat/completions"):
        if body.get("stream"):
            return _chat_stream(request, ("Hel", "lo"), usage=bodies.USAGE, model=model)
        return _whole(bodies.completion(model=model))
    if path.endswith("/responses"):
        if body.get("stream"):
            preset = {"Content-Type": "text/event-stream; charset=utf-8", "Transfer-Encoding": "chunked"}
            return Script(_head(200, (), preset), list(bodies.response_events(model=model)), "chunked")
        return _whole(bodies.response(model=model))
    if path.endswith("/embeddings"):
        count = len(body["input"]) if isinstance(body.get("input"), list) else 1
        return _whole(bodies.embeddings(model=model, count=count))
    if path.endswith("/models"):
        return _whole(
            {"object": "list", "data": [{"id": "gpt-test", "object": "model", "created": 0, "owned_by": "fake"}]}
        )
    return _whole(bodies.error("Unknown request URL", kind="invalid_request_error", code="unknown_url"), status=404)


def _whole(body: Any, *, status: int = 200) -> Script:
    raw = _json(body)
    preset = {"Content-Type": "application/json", "Content-Length": str(len(raw))}
    return Script(_head(status, (), preset), [raw], "length")
