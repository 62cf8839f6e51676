"""Two organizations, people in every role, and what a test needs to be one of them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from apps.core.actor import Actor
from tests.control.conftest import (  # noqa: F401 - fixtures
    ACTOR,
    PASSWORD,
    _fresh_limits,
    _quick_passwords,
    acme,
    actor,
    owner,
    run,
    zeta,
)
from tests.support.mail import MailSink

COMMAND = Actor.system("command")


@pytest.fixture
def mail(settings: Any) -> Iterator[MailSink]:
    from apps.core.mail import mail_server

    with MailSink() as sink:
        settings.EMAIL_SERVER = mail_server(sink.url)
        yield sink


type Person = Callable[..., Any]


@pytest.fixture
def person(db: None) -> Person:
    """A member of an organization, in a role; no platform staff."""
    from apps.orgs.actions import member_add, user_create

    def make(organization: Any, role: str, email: str = "") -> Any:
        email = email or f"{role}@{organization.slug}.test"
        user = user_create(email=email, password=PASSWORD, actor=COMMAND)
        member_add(organization=organization, user=user, role=role, actor=COMMAND)
        return user

    return make


def as_actor(user: Any) -> Actor:
    return Actor(door="admin", label=user.email, user_id=user.pk, address="192.0.2.7")
