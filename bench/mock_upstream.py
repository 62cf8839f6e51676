"""A provider that costs as little as one can: fixed answers, written straight to the socket. For measurements only.

    python bench/mock_upstream.py PORT

Answers every POST with one chat completion of 0.8 KB or, where the body asks for a stream, with 67 events in chunks of their own,
3 ms apart, and `[DONE]`; a stream of Anthropic's Messages has as many, of its own kinds.

It reads no more of a request than it must; the sandbox is the provider for everything else.
"""

import asyncio
import sys
from typing import cast

import orjson
import uvloop

EVENTS = 67
GAP_SECONDS = 0.003

_HEAD = {"id": "chatcmpl-bench", "created": 1_763_600_000, "model": "gpt-4o-mini-2024-07-18"}
_USAGE = {"prompt_tokens": 142, "completion_tokens": 64, "total_tokens": 206}


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _event(choices: list[dict[str, object]], **more: object) -> bytes:
    body = {**_HEAD, "object": "chat.completion.chunk", "choices": choices, **more}
    return _chunked(b"data: " + orjson.dumps(body) + b"\n\n")


def _delta(delta: dict[str, str], finish: str | None = None) -> bytes:
    return _event([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}])


def _events() -> list[bytes]:
    words = [_delta({"content": f" word{number}"}) for number in range(EVENTS - 3)]
    return [_delta({"role": "assistant", "content": ""}), *words, _delta({}, "stop"), _event([], usage=_USAGE)]


def _answer() -> bytes:
    text = "Take the night train to Stockholm, change there for Nynäshamn, and board the evening ferry to Visby. "
    message = {"role": "assistant", "content": text * 4, "refusal": None}
    choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]
    body = orjson.dumps({**_HEAD, "object": "chat.completion", "choices": choices, "usage": _USAGE})
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: bench\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body


def _message_event(kind: str, **fields: object) -> bytes:
    return _chunked(b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **fields})))


def _message_events() -> list[bytes]:
    started = {"input_tokens": 142, "output_tokens": 1}
    message = {"id": "msg_bench", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "content": []}
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    return [
        _message_event("message_start", message={**message, "stop_reason": None, "usage": started}),
        _message_event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        *(
            _message_event("content_block_delta", index=0, delta={"type": "text_delta", "text": f" word{number}"})
            for number in range(EVENTS - 4)
        ),
        _message_event("content_block_stop", index=0),
        _message_event("message_delta", delta=ended, usage={"input_tokens": 142, "output_tokens": 64}),
    ]


ANSWER = _answer()
STREAM = _events()
MESSAGE_STREAM = _message_events()
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-request-id: bench\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
STREAM_END = _chunked(b"data: [DONE]\n\n") + b"0\r\n\r\n"
MESSAGE_STREAM_END = _message_event("message_stop") + b"0\r\n\r\n"


class MockUpstream(asyncio.Protocol):
    """One client's connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (request := self._next_request()) is not None:
            head, body = request
            if b'"stream":true' not in body and b'"stream": true' not in body:
                self._transport.write(ANSWER)
                continue
            self._transport.write(STREAM_HEAD)
            if b"/messages " in head:
                self._step(0, MESSAGE_STREAM, MESSAGE_STREAM_END)
            else:
                self._step(0, STREAM, STREAM_END)

    def _next_request(self) -> tuple[bytes, bytes] | None:
        """Head and body of the next request that is whole, taken off what was received."""
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found:
            return None
        lower = head.lower()
        if b"transfer-encoding: chunked" in lower:
            body, found, after = rest.partition(b"0\r\n\r\n")
            if not found:
                return None
            self._received = after
            return head, body
        _, named, value = lower.partition(b"content-length:")
        size = int(value.partition(b"\r\n")[0]) if named else 0
        if len(rest) < size:
            return None
        self._received = rest[size:]
        return head, rest[:size]

    def _step(self, number: int, stream: list[bytes], end: bytes) -> None:
        if self._transport.is_closing():
            return
        if number == EVENTS:
            self._transport.write(end)
            return
        self._transport.write(stream[number])
        asyncio.get_running_loop().call_later(GAP_SECONDS, self._step, number + 1, stream, end)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(MockUpstream, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
