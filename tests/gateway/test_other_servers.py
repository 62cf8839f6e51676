"""The gateway under another ASGI server than its own: the ordinary ASGI way, with the same promises."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.gateway.test_endings import CHAT, STREAM, read_until, send
from tests.support.gateway import GatewayProcess
from tests.support.provider import HANG, FakeProvider

if TYPE_CHECKING:
    from tests.support.tenant import Tenant


@pytest.fixture
def acme(upstream: FakeProvider) -> "Iterator[Tenant]":
    from tests.support.tenant import tenant

    with GatewayProcess(stock_server=True) as gateway, tenant(gateway, upstream) as made:
        yield made


def test_answers_streams_and_clients_that_leave(acme: "Tenant", upstream: FakeProvider) -> None:
    client = acme.http()
    assert client.post("/v1/chat/completions", json=CHAT).json()["choices"][0]["message"]["content"] == "Hello"
    assert client.post("/v1/chat/completions", json=STREAM).text.endswith("data: [DONE]\n\n")
    assert client.post("/v1/chat/completions", json={**CHAT, "model": "nowhere"}).status_code == 404

    for body in (CHAT, STREAM):
        upstream.reset()
        if body is STREAM:
            upstream.streams("Once", HANG)
        else:
            upstream.hangs()
        leaving = send(acme, body)
        upstream.next_request()
        if body is STREAM:
            read_until(leaving, b"Once")
        leaving.close()
        assert upstream.hung_up.wait(5)
    assert [record.status for record in acme.records(5)] == [200, 200, 404, 499, 499]
