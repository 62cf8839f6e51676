"""Setting up: once, by whoever can read the code, and never by whoever comes first."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from apps.core.actor import Actor
from apps.launch.announcement import announcement
from apps.orgs.actions import user_create
from apps.orgs.models import Membership, Organization, User
from apps.orgs.setup.actions import SetUpAlreadyError, installation_set_up, setup_code
from apps.orgs.setup.hint import setup_hint
from tests.control.conftest import Run, run  # noqa: F401 - a fixture
from tests.people.conftest import ACTOR, PASSWORD
from tests.support.gateway import GatewayProcess, test_database_url

FORM = {"organization": "Acme GmbH", "name": "Ana", "email": "Ana@acme.test", "password": PASSWORD, "again": PASSWORD}


def send(client: Client | None = None, **changes: str) -> Any:
    return (client or Client()).post("/setup/", {**FORM, "code": setup_code(), **changes})


def test_whoever_has_the_code_becomes_the_owner_once(db: None) -> None:
    client = Client()
    assert client.get("/", follow=True).redirect_chain[-1][0] == "/setup/"

    assert send(client)["Location"] == "/admin/"

    membership = Membership.objects.get()
    assert (membership.user.email, membership.user.name, membership.role) == ("ana@acme.test", "Ana", "owner")
    assert membership.organization.slug == "acme-gmbh"
    assert client.get("/admin/").status_code == 200
    assert Client().get("/setup/").status_code == 404
    late = send(email="second@acme.test")
    assert (late.status_code, User.objects.count()) == (409, 1)
    assert "Set up already" in late.content.decode()


@pytest.mark.parametrize("code", ["", "AAAA-AAAA-AAAA-AAAA", "none"])
def test_without_the_code_nothing_happens(db: None, code: str) -> None:
    response = send(code=code)

    assert response.status_code == 400
    assert not User.objects.exists()
    assert not Organization.objects.exists()


def test_the_code_may_be_typed_in_any_way(db: None) -> None:
    assert send(code=f" {setup_code().lower().replace('-', ' ')} ").status_code == 302


def test_guessing_the_code_is_limited(db: None) -> None:
    codes = [send(code="guess").status_code for _ in range(11)]
    assert codes == [400] * 10 + [429]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("password", "short", "8 characters"),
        ("again", "something else", "differ"),
        ("email", "no e-mail", "valid email"),
        ("organization", " ", "required"),
    ],
)
def test_what_is_refused_is_said_at_its_field_and_leaves_nothing(db: None, field: str, value: str, said: str) -> None:
    form = {field: value} if field != "password" else {"password": value, "again": value}
    response = send(**form)

    assert response.status_code == 400
    assert said in response.content.decode()
    assert not Organization.objects.exists()


def test_with_single_sign_on_the_owner_needs_no_password(db: None, settings: Any) -> None:
    settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID = "https://id.example", "tollgate"
    client = Client()

    response = send(client, password="", again="")

    assert "/sso/start/" in response.content.decode()
    assert not User.objects.get().has_usable_password()
    assert client.get("/admin/").status_code == 200


def test_the_command_prints_the_code_until_somebody_used_it(run: Run) -> None:  # noqa: F811 - the fixture
    ran = run("setup_code")
    assert ran.out.strip() == setup_code()
    assert "/setup/" in ran.err

    user_create(email="ana@acme.test", password=None, actor=Actor.system("command"))
    ran = run("setup_code")
    assert (ran.code, ran.out) == (1, "")


@pytest.fixture
def _committed(transactional_db: None) -> Iterator[None]:
    yield
    connections.close_all()


@pytest.mark.usefixtures("_committed")
def test_of_two_at_once_one_wins() -> None:
    start, ends = threading.Barrier(4), []

    def set_up(number: int) -> None:
        start.wait()
        try:
            installation_set_up(
                code=setup_code(),
                organization=f"Org {number}",
                email=f"owner{number}@acme.test",
                name="",
                password=PASSWORD,
                actor=ACTOR,
            )
            ends.append("won")
        except SetUpAlreadyError:
            ends.append("late")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=set_up, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(ends) == ["late", "late", "late", "won"]
    assert (User.objects.count(), Organization.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_a_server_says_where_an_empty_installation_is_set_up_and_no_longer_once_it_is(settings: Any) -> None:
    settings.DATABASE_URL = test_database_url()
    with GatewayProcess(plane="console") as server:
        assert "/setup/" in server.tail()
        assert setup_code() not in server.tail()  # a log is read by more people than may set up

    user_create(email="ana@acme.test", password=None, actor=ACTOR)
    assert setup_hint() == ""


def test_up_names_the_setup_page_and_its_code_where_nobody_can_sign_in() -> None:
    about: dict[str, Any] = {"url": "http://localhost:8000", "owner": "ana@acme.test", "token": None, "seconds": 1.0}
    empty = announcement(**about, sign_in_path=None, setup_code="ABCD-EFGH", logs=Path("logs"))
    assert "Console   http://localhost:8000/setup/" in empty
    assert empty.count("ABCD-EFGH") == 1

    assert "/setup/" not in announcement(**about, sign_in_path=None, setup_code=None, logs=Path("logs"))
