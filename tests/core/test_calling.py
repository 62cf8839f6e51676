"""One exchange with a named place: what is dialled, what is read, and how each failure is told apart."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from apps.core.calling import CallFailed, Problem, _exchange, call
from apps.core.env import networks
from tests.support.provider import FakeProvider


@pytest.fixture(autouse=True)
def loopback(settings: Any) -> None:
    settings.EGRESS_ALLOW = networks("127.0.0.0/8,::1")


@pytest.fixture
def upstream() -> Iterator[FakeProvider]:
    with FakeProvider() as made:
        yield made


def refused(url: str, **asked: Any) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        call("GET", url, **{"agent": "test", "seconds": 5.0, "most": 100, **asked})
    return caught.value


def test_what_is_sent_names_the_place_and_not_its_address(upstream: FakeProvider) -> None:
    upstream.answers({"a": 1}, headers={"X-Mark": "yes"})
    port = upstream.url.rsplit(":", 1)[1]

    answer = call("POST", f"http://localhost:{port}/a?b=c", agent="one/1", seconds=5, most=100, body=b"hello")

    assert (answer.status, answer.headers["x-mark"]) == (200, "yes")
    assert answer.body
    [request] = upstream.requests
    assert (request.method, request.path, request.body) == ("POST", "/a?b=c", b"hello")
    assert request.header("host") == f"localhost:{port}"
    assert request.header("user-agent") == "one/1"
    assert request.header("accept-encoding") == "identity"


def test_an_address_that_may_not_be_called_is_not_dialled(upstream: FakeProvider, settings: Any) -> None:
    settings.EGRESS_ALLOW = networks("10.0.0.0/8")

    failure = refused(upstream.url)

    assert (failure.problem, failure.host, failure.detail) == (Problem.EGRESS, "127.0.0.1", "127.0.0.1")
    assert upstream.connections == 0


def test_of_several_addresses_the_next_is_tried_where_one_does_not_answer(upstream: FakeProvider) -> None:
    upstream.answers("")
    url = httpx.URL(upstream.url)

    answer = asyncio.run(_exchange("GET", url, ["127.0.0.2", "127.0.0.1"], {"host": "a.example"}, None, 5.0, 0))

    assert answer.status == 200
    assert upstream.connections == 1


def test_a_redirect_is_an_answer_and_is_not_followed(upstream: FakeProvider) -> None:
    upstream.answers("", status=302, headers={"location": f"{upstream.url}/elsewhere"})
    assert call("GET", upstream.url, agent="test", seconds=5).status == 302
    assert len(upstream.requests) == 1


def test_no_more_is_read_than_was_said(upstream: FakeProvider) -> None:
    upstream.answers(b"x" * 101, always=True)
    assert refused(upstream.url).problem == Problem.SIZE
    assert call("GET", upstream.url, agent="test", seconds=5, most=101).body == b"x" * 101
    assert call("GET", upstream.url, agent="test", seconds=5).body == b""


def test_a_compressed_answer_is_not_unpacked(upstream: FakeProvider) -> None:
    upstream.answers(b"x" * 1_000_000, gzip=True)
    assert refused(upstream.url, most=10_000).problem == Problem.COMPRESSED


def test_each_way_to_fail_has_its_name() -> None:
    assert refused("http://[::1/").problem == Problem.URL
    assert refused("http://no-such-name.invalid/").problem == Problem.NAME
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: a connection is refused
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        failure = refused(f"http://{place}/")
        assert (failure.problem, failure.detail) == (Problem.CONNECTION, place)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert refused(f"http://127.0.0.1:{silent.getsockname()[1]}/", seconds=0.2).problem == Problem.TIME
