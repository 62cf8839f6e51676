"""A mail server on a socket that keeps what it is given."""

import socketserver
import threading
from email import message_from_bytes
from email.message import Message
from types import TracebackType
from typing import Self


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    messages: list[Message]
    refuse: str


class _Conversation(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        self._say("220 sink")
        for line in self.rfile:
            word = line.split(b" ")[0].strip().upper()
            if word == b"DATA":
                self._say("354 go on")
                body = b""
                while (part := self.rfile.readline()) != b".\r\n":
                    body += part[1:] if part.startswith(b"..") else part
                self.server.messages.append(message_from_bytes(body))
                self._say("250 kept")
            elif word == b"QUIT":
                self._say("221 bye")
                return
            else:
                self._say(self.server.refuse if word == b"RCPT" and self.server.refuse else "250 fine")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


class MailSink:
    """The server. `messages`: what arrived. `refuse`: what every recipient is answered, such as `550 nobody here`."""

    def __init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Conversation)
        self._server.messages = []
        self._server.refuse = ""

    @property
    def url(self) -> str:
        """EMAIL_URL."""
        return f"smtp://127.0.0.1:{self._server.server_address[1]}"

    @property
    def messages(self) -> list[Message]:
        return self._server.messages

    def refuse(self, answer: str) -> None:
        self._server.refuse = answer

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
