"""A webhook's receiver on a socket: it keeps what it is sent, and answers as it is told."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Received:
    """One call. Header names are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    received: list[Received]
    status: int
    hold: threading.Event


class _Call(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received.append(Received(self.path, headers, body))
        self.server.hold.wait(30)
        self.send_response(self.server.status)
        self.send_header("location", "/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


class Receiver:
    """The server. `received`: the calls. `status`: what they are answered; not before `hold` is set, which it is at first."""

    def __init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Call)
        self._server.received, self._server.status, self._server.hold = [], 204, threading.Event()
        self._server.hold.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook?team=search"

    @property
    def received(self) -> list[Received]:
        return self._server.received

    @property
    def hold(self) -> threading.Event:
        return self._server.hold

    def answer(self, status: int) -> None:
        self._server.status = status

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.hold.set()
        self._server.shutdown()
        self._server.server_close()
