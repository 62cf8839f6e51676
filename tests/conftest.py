"""The suite's frame: services first, then Django's settings, which need them."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from django.utils import translation

from tests.support.services import provide_services

_ending = ExitStack()


# Tests whose rows are committed, since other processes must see them. They run last, so that the others, whose rows are rolled
# back, find the tables as empty as they leave them.
_COMMITTING = (
    "tests/gateway/",
    "tests/launch/",
    "tests/node/",
    "tests/sdk/",
    "tests/policies/test_alerts.py",
    "tests/policies/test_budget_counters.py",
    "tests/policies/test_credential_alerts.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.nodeid.startswith(_COMMITTING))  # stable: otherwise as collected


def pytest_configure(config: pytest.Config) -> None:
    # pytest-django's own hook runs last, finds the settings loaded and sets Django up. So DJANGO_SETTINGS_MODULE is set
    # here and not in pyproject.toml, which pytest-django would follow before any service runs.
    if not config.option.help:
        provide_services(_ending)
        from django.conf import settings

        from tests.support.leaks import begin_watching

        assert settings.DATABASES
        begin_watching()


def pytest_unconfigure(config: pytest.Config) -> None:
    _ending.close()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    from tests.support.leaks import watch

    watch.begin()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    from tests.support.leaks import watch

    yield
    watch.check()


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    """A request in another language leaves it to the thread, which goes on to the next test."""
    translation.deactivate()
    yield
    translation.deactivate()


@pytest.fixture(autouse=True)
def _one_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts are counted by the minute or hour of the library's clock, one of which might end in the midst of a test."""
    from django_ratelimit import core

    now = time.time()
    monkeypatch.setattr(core, "time", SimpleNamespace(time=lambda: now))
