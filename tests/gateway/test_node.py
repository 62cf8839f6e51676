"""The official Node clients. What they are asked and must see is in tests/node; this starts them."""

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support import messages
from tests.support.node import FOLDER, installed_node
from tests.support.provider import RESET, FakeProvider

if TYPE_CHECKING:
    from tests.support.tenant import Tenant


@pytest.fixture(scope="module")
def node() -> str:
    """The path of Node, with the locked packages installed. Skips, saying why, where that cannot be had."""
    return installed_node()


def checked(node: str, script: str, acme: "Tenant") -> int:
    """Run one of the scripts; returns how many of its checks passed. Raises AssertionError with what it said if any failed."""
    environment = {**os.environ, "GATEWAY_URL": acme.gateway.url, "GATEWAY_TOKEN": acme.token}
    done = subprocess.run([node, script], cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.count("ok: ")


def test_the_official_node_client_sees_no_difference(node: str, acme: "Tenant", upstream: FakeProvider) -> None:
    with FakeProvider() as unreliable:
        unreliable.streams("Hel", RESET)
        acme.add_route("breaking", unreliable.url + "/v1")
        assert checked(node, "calls.mjs", acme) == 11


def test_anthropics_node_client_sees_no_difference(node: str, acme: "Tenant", upstream: FakeProvider) -> None:
    acme.add_route(messages.MODEL, upstream.url, provider="anthropic")
    upstream.answers(messages.message())
    upstream.streams_raw(messages.stream())
    upstream.streams_raw([messages.start(), *messages.tool_block("weather", '{"city":', '"Oslo"}'), *messages.end()])
    upstream.answers({"input_tokens": 12})
    with FakeProvider() as unreliable:
        unreliable.streams_raw([messages.start(), *messages.text_block("Hel"), RESET])
        acme.add_route("breaking", unreliable.url, provider="anthropic")
        assert checked(node, "messages.mjs", acme) == 9
