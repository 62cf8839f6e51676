"""The gateway's tests: a gateway process for all of them, a fake provider and a tenant for each."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from apps.core.env import networks
from tests.support.account import FakeAccount
from tests.support.gateway import LOOPBACK, GatewayProcess
from tests.support.provider import FakeProvider

if TYPE_CHECKING:  # models can be imported only once the services run, which is after this file has been read
    from tests.support.tenant import Tenant

_LOG_START = pytest.StashKey[dict[GatewayProcess, int]]()


@pytest.fixture(autouse=True)
def db(django_db_setup: None, django_db_blocker: Any, settings: Any) -> Iterator[None]:
    """The tests' database, written to for good: the gateway is another process and sees only what is committed.

    In the place of pytest-django's own `db`, which rolls back. The name tells it that a database is needed at all.
    """
    settings.EGRESS_ALLOW = networks(LOOPBACK)  # as the gateway's: credentials name the loopback
    with django_db_blocker.unblock():
        yield


@pytest.fixture(scope="session")
def gateway(django_db_setup: None) -> Iterator[GatewayProcess]:
    """A gateway that tries each call once, so that a test sees what became of its one attempt; else with the default settings.

    Tests that stop, kill or configure one start their own.
    """
    with GatewayProcess({"UPSTREAM_ATTEMPTS": "1"}) as process:
        yield process


@pytest.fixture
def upstream() -> Iterator[FakeProvider]:
    """A provider on a real socket, scripted by the test."""
    with FakeProvider() as provider:
        yield provider


@pytest.fixture
def account(upstream: FakeProvider) -> FakeAccount:
    """The provider's account, which keeps files, batches and responses for all who have its key."""
    made = FakeAccount(uuid4().hex[:6])
    upstream.replies(made, always=True)
    return made


@pytest.fixture
def acme(gateway: GatewayProcess, upstream: FakeProvider) -> "Iterator[Tenant]":
    """A tenant of the test's own on the common gateway."""
    from tests.support.tenant import tenant

    with tenant(gateway, upstream) as made:
        yield made


@pytest.fixture(scope="module")
def everyday(gateway: GatewayProcess, django_db_blocker: Any) -> "Iterator[Tenant]":
    """A tenant shared by those tests of a module that call and change nothing: making one for each would take longer."""
    from django.test import override_settings

    from tests.support.tenant import tenant

    with (
        override_settings(EGRESS_ALLOW=networks(LOOPBACK)),
        django_db_blocker.unblock(),
        FakeProvider() as provider,
        tenant(gateway, provider) as made,
    ):
        yield made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    item.stash[_LOG_START] = {
        process: process.log.stat().st_size for process in GatewayProcess.living if process.log.exists()
    }
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[Any]:
    """Show what the gateways logged during a test that failed."""
    report = yield
    if report.failed:
        starts = item.stash.get(_LOG_START, {})
        for process in GatewayProcess.living:
            if text := process.tail(starts.get(process, 0)):
                report.sections.append((f"log of the gateway on port {process.port}", text))
    return report
