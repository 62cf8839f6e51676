"""An organization with its owner, a provider on a real socket, and the ways in: actions, commands, console."""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from django.core.management import get_commands, load_command_class
from django.test import Client

from apps.core.actor import Actor
from apps.core.env import networks
from tests.support.provider import FakeProvider

if TYPE_CHECKING:  # models can be imported only once the services run, which is after this file has been read
    from apps.orgs.models import Organization, User
    from apps.providers.models import Credential
    from apps.services.models import Service

SECRET = "sk-test-never-to-be-seen-1234"
PASSWORD = "correct horse battery staple"
ACTOR = Actor(door="api", label="ana@acme.test", address="192.0.2.7")


@pytest.fixture
def actor() -> Actor:
    return ACTOR


@pytest.fixture
def acme(db: None) -> "Organization":
    from apps.orgs.actions import organization_create

    return organization_create(name="Acme", slug="acme", actor=ACTOR)


@pytest.fixture
def zeta(db: None) -> "Organization":
    from apps.orgs.actions import organization_create

    return organization_create(name="Zeta", slug="zeta", actor=ACTOR)


@pytest.fixture
def owner(acme: "Organization") -> "User":
    from apps.orgs.actions import owner_create

    return owner_create(organization=acme, email="owner@acme.test", password=PASSWORD, actor=ACTOR)


@pytest.fixture
def service(acme: "Organization") -> "Service":
    from apps.services.actions import service_create

    return service_create(organization=acme, name="Support chat", actor=ACTOR)


@pytest.fixture
def upstream() -> Iterator[FakeProvider]:
    with FakeProvider() as fake:
        yield fake


@pytest.fixture
def loopback(settings: Any) -> None:
    """The installation allows credentials on this machine, as its own sandbox needs."""
    settings.EGRESS_ALLOW = networks("127.0.0.0/8")


@pytest.fixture
def credential(acme: "Organization", upstream: FakeProvider, loopback: None) -> "Credential":
    from apps.providers.actions import credential_add

    return credential_add(
        organization=acme,
        provider="openai_compatible",
        label="main",
        base_url=f"{upstream.url}/v1",
        secret=SECRET,
        actor=ACTOR,
    )


@pytest.fixture
def console(owner: "User") -> Client:
    client = Client()
    client.force_login(owner)
    return client


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Any) -> None:
    """Argon2 is slow on purpose; here nobody guesses."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _fresh_limits(settings: Any) -> None:
    """Attempts are counted in Valkey, which outlives a test: each counts under a name of its own."""
    settings.RATELIMIT_CACHE_PREFIX = f"{uuid4().hex}:"


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


type Run = Callable[..., Ran]


@pytest.fixture
def run(db: None, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command as `manage.py` does, but for closing the connection, on which this test's transaction is."""

    def run_command(*words: str, stdin: str = "", **environment: str) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = 0
        with redirect_stdout(out), redirect_stderr(err):
            try:
                name, *arguments = words
                command = load_command_class(get_commands()[name], name)
                command._called_from_command_line = True
                options = vars(command.create_parser("manage.py", name).parse_args(arguments))
                command.execute(*options.pop("args", ()), **options)
            except SystemExit as end:
                code = int(end.code or 0)
        return Ran(code, out.getvalue(), err.getvalue())

    return run_command
