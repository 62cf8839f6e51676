"""The scripted provider keeps to its script to the byte; the gateway's tests rest on that."""

import gzip
import itertools
import json
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import openai
import pytest

from tests.support import bodies
from tests.support.provider import CLOSE, HANG, RESET, FakeProvider, closed_port, unreachable


@pytest.fixture
def upstream() -> Iterator[FakeProvider]:
    with FakeProvider() as provider:
        yield provider


@pytest.fixture
def client(upstream: FakeProvider) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=upstream.url, timeout=5) as client:
        yield client


def connected(upstream: FakeProvider) -> socket.socket:
    host, _, port = upstream.url.removeprefix("http://").partition(":")
    connection = socket.create_connection((host, int(port)), timeout=5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def read_all(connection: socket.socket) -> bytes:
    """What arrives until the other side closes in order."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def test_it_records_what_it_was_sent(upstream: FakeProvider, client: httpx.Client) -> None:
    client.post("/v1/x%2Fy?a=1&a=2", content=b"\x00raw", headers=[("X-Mixed", "one"), ("X-Mixed", "two")])

    request = upstream.next_request()
    assert (request.method, request.path, request.body) == ("POST", "/v1/x%2Fy?a=1&a=2", b"\x00raw")
    assert [value for name, value in request.headers if name == "X-Mixed"] == ["one", "two"]
    assert request.header("x-mixed") == "one"
    assert request.header("absent") is None


def test_scripts_are_played_in_order_and_then_the_default(upstream: FakeProvider, client: httpx.Client) -> None:
    upstream.answers({"turn": 1}, status=201, headers={"X-Request-Id": "req_1"})
    upstream.fails(429, "Slow down.", code="rate_limit_exceeded", headers={"Retry-After": "3"})
    upstream.answers(b"always", headers={"Content-Type": "text/plain"}, always=True)

    first, second, third, fourth = (client.post("/") for _ in range(4))

    assert (first.status_code, first.json(), first.headers["x-request-id"]) == (201, {"turn": 1}, "req_1")
    assert (second.status_code, second.headers["retry-after"]) == (429, "3")
    assert second.json()["error"]["code"] == "rate_limit_exceeded"
    assert (third.text, fourth.text, fourth.headers["content-type"]) == ("always", "always", "text/plain")
    assert upstream.connections == 1
    assert len({request.connection for request in upstream.requests}) == 1


def test_unscripted_it_answers_as_openai_would(upstream: FakeProvider) -> None:
    with openai.OpenAI(base_url=f"{upstream.url}/v1", api_key="k", max_retries=0) as client:
        chat = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
        stream = client.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": "Hi"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = list(stream)
        events = list(client.responses.create(model="m", input="Hi", stream=True))
        assert chat.choices[0].message.content == client.responses.create(model="m", input="Hi").output_text == "Hello"
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hello"
        assert chunks[-1].usage
        assert chunks[-1].usage.total_tokens == 11
        assert not chunks[-1].choices
        assert [event.sequence_number for event in events] == list(range(9))
        assert len(client.embeddings.create(model="m", input=["a", "b"], encoding_format="float").data) == 2
        assert [model.id for model in client.models.list()] == ["gpt-test"]


def test_each_piece_leaves_alone_and_waits_for_its_event(upstream: FakeProvider) -> None:
    gate = threading.Event()
    upstream.streams_raw([b"data: a", gate, b"\n\n"])
    with connected(upstream) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        seen = b""
        while not seen.endswith(b"7\r\ndata: a\r\n"):
            seen += connection.recv(65536)
        connection.settimeout(0.05)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        gate.set()
        connection.settimeout(5)
        rest = b""
        while not rest.endswith(b"0\r\n\r\n"):
            rest += connection.recv(65536)
    assert rest == b"2\r\n\n\n\r\n0\r\n\r\n"
    assert upstream.next_request().sent == b"data: a\n\n"
    assert not upstream.hung_up.is_set()


def test_bytes_on_the_wire_are_exactly_those_scripted(upstream: FakeProvider) -> None:
    wire = b"HTTP/1.1 299 Odd\r\nX-a:  b \r\nContent-Length: 2\r\n\r\nok"
    upstream.sends(wire[:20], wire[20:])
    with connected(upstream) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert read_all(connection) == wire


def test_a_client_that_hangs_up_is_noticed_with_the_time(upstream: FakeProvider) -> None:
    upstream.streams("Hel", "lo", HANG)
    with (
        openai.OpenAI(base_url=f"{upstream.url}/v1", api_key="k") as client,
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}], stream=True) as stream,
    ):
        assert [next(stream).choices[0].delta.content for _ in range(2)] == ["Hel", "lo"]
        assert not upstream.hung_up.is_set()
        before = time.monotonic()

    assert upstream.hung_up.wait(timeout=5)
    assert upstream.hung_up_at
    assert before <= upstream.hung_up_at <= time.monotonic()
    request = upstream.next_request()
    assert request.hung_up.is_set()
    assert not request.answered.is_set()


def test_hanging_up_before_the_first_byte_is_noticed_too(upstream: FakeProvider) -> None:
    upstream.hangs()
    with connected(upstream) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        request = upstream.next_request()
    assert request.hung_up.wait(timeout=5)


def test_a_client_that_leaves_while_sending_has_hung_up(upstream: FakeProvider) -> None:
    with connected(upstream) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf")
    assert upstream.hung_up.wait(timeout=5)


def test_a_client_that_leaves_after_the_answer_has_not_hung_up(upstream: FakeProvider) -> None:
    with httpx.Client(base_url=upstream.url) as client:
        client.post("/v1/embeddings", json={"input": "a"})
    assert upstream.next_request().answered.wait(timeout=5)
    assert not upstream.hung_up.is_set()


def test_a_reset_and_an_early_close_look_different_to_the_client(upstream: FakeProvider) -> None:
    upstream.sends(RESET)
    upstream.sends(CLOSE)
    with connected(upstream) as connection, pytest.raises(ConnectionResetError):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        connection.recv(1)
    with connected(upstream) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert connection.recv(1) == b""
    assert not upstream.hung_up.is_set()


@pytest.mark.parametrize("ending", [CLOSE, RESET])
def test_a_stream_can_end_without_its_final_chunk(upstream: FakeProvider, client: httpx.Client, ending: object) -> None:
    upstream.streams_raw([b"data: 1\n\n", ending])  # type: ignore[list-item]  # pytest's parameter is an object
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)), client.stream("POST", "/") as response:
        for _ in response.iter_raw():
            pass


def test_a_stream_framed_by_the_connection_ends_with_it(upstream: FakeProvider, client: httpx.Client) -> None:
    upstream.streams_raw([b"a", b"b"], framing="until-close")
    answer = client.get("/")
    assert answer.text == "ab"
    assert "transfer-encoding" not in answer.headers


def test_gzip_is_real(upstream: FakeProvider) -> None:
    upstream.answers({"a": 1}, gzip=True)
    upstream.streams_raw([b"data: 1\n\n", b"data: 2\n\n"], gzip=True)
    with httpx.Client(base_url=upstream.url) as client:
        with client.stream("GET", "/") as response:
            raw = b"".join(response.iter_raw())
        assert json.loads(gzip.decompress(raw)) == {"a": 1}
        assert client.get("/").text == "data: 1\n\ndata: 2\n\n"


def test_it_can_refuse_before_the_body_has_arrived(upstream: FakeProvider) -> None:
    upstream.answers(bodies.error("Too large"), status=413, before_body=True)
    with connected(upstream) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_does_not_read_holds_the_stream_back(upstream: FakeProvider) -> None:
    upstream.streams_raw(itertools.repeat(b"x" * 65536))
    with connected(upstream) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        request = upstream.next_request()
        connection.recv(1)
        before = -1
        while before != (before := len(request.sent)):  # until nothing more goes out
            threading.Event().wait(0.1)
        assert before < 32 * 1024 * 1024  # what the kernel's socket buffers take
    assert request.hung_up.wait(timeout=5)


def test_idle_connections_can_be_closed_from_the_providers_side(upstream: FakeProvider) -> None:
    with connected(upstream) as connection:
        connection.sendall(b"GET /v1/models HTTP/1.1\r\nHost: h\r\n\r\n")
        assert upstream.next_request().answered.wait(timeout=5)
        assert upstream.open_connections == 1
        upstream.close_idle_connections()
        assert read_all(connection).endswith(b"]}")
    assert not upstream.hung_up.is_set()


def test_connections_can_fail_to_be_made() -> None:
    with pytest.raises(httpx.ConnectError):
        httpx.get(closed_port())
    with unreachable() as url, pytest.raises(httpx.ConnectTimeout):
        httpx.get(url, timeout=0.2)


def test_leaving_the_block_ends_hanging_clients_and_the_thread() -> None:
    with FakeProvider() as upstream:
        upstream.hangs()
        connection = connected(upstream)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        upstream.next_request()
    with connection, pytest.raises(ConnectionResetError):
        connection.recv(1)
    assert "fake-provider" not in {thread.name for thread in threading.enumerate()}
