"""Two organizations with people of every role and with one row of everything; and clients that watch what is answered."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import yaml
from django.test import Client

from apps.core.actor import Actor
from tests.control.conftest import acme, actor, loopback, run, upstream, zeta
from tests.documents.markdown import ROOT

if TYPE_CHECKING:  # models can be imported only once the services run, which is after this file has been read
    from django.http import HttpResponse

    from apps.orgs.models import Organization, User
    from apps.services.models import Service

__all__ = ["acme", "actor", "loopback", "run", "upstream", "zeta"]

ACTOR = Actor(door="api", label="ana@acme.test", address="192.0.2.7")
UPSTREAM_SECRET = "sk-upstream-never-to-be-seen-1234"
PASSWORD = "correct horse battery staple"


@dataclass
class Api:
    """Somebody, or a key, asking the API."""

    client: Client = field(default_factory=Client)
    key: str = ""
    forbidden: set[str] = field(default_factory=set)  # what no answer may hold
    revealing: bool = False

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> "HttpResponse":
        """One request; `body` is sent as JSON. Header names with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.key:
            sent["Authorization"] = f"Bearer {self.key}"
        options: dict[str, Any] = {"headers": sent}
        if body is not None:
            options |= {
                "data": body if isinstance(body, str | bytes) else json.dumps(body),
                "content_type": "application/json",
            }
        response = self.client.generic(method, f"/api/{path}", **_generic(options))
        text = b"".join(response.streaming_content) if response.streaming else response.content
        response.text_seen = text.decode()
        for secret in self.forbidden:
            assert secret not in response.text_seen, f"{method} {path} answers with a secret"
        assert_declared(method, response)
        return response

    def get(self, path: str, **headers: str) -> Any:
        """What a GET answers with, which must succeed."""
        response = self("GET", path, **headers)
        assert response.status_code == 200, response.text_seen
        return json.loads(response.text_seen)

    def post(self, path: str, body: Any = None, *, status: int = 201, **headers: str) -> Any:
        """What a POST answers with, which must be of this status."""
        response = self("POST", path, {} if body is None else body, **headers)
        assert response.status_code == status, response.text_seen
        return json.loads(response.text_seen)

    def patch(self, path: str, body: Any, *, status: int = 200, **headers: str) -> Any:
        """The same of a PATCH."""
        response = self("PATCH", path, body, **headers)
        assert response.status_code == status, response.text_seen
        return json.loads(response.text_seen)


@cache
def declared() -> dict[tuple[str, str], set[int]]:
    """The statuses that docs/openapi.yaml declares, by verb and path."""
    schema = yaml.load((ROOT / "docs/openapi.yaml").read_text(), Loader=yaml.CSafeLoader)
    return {
        (verb.upper(), path): {int(status) for status in told["responses"]}
        for path, verbs in schema["paths"].items()
        for verb, told in verbs.items()
    }


def assert_declared(method: str, response: Any) -> None:
    """No operation answers with a status that the schema does not declare of it."""
    path = re.sub(r"<\w+:(\w+)>", r"{\1}", f"/{getattr(response.resolver_match, 'route', '')}")
    statuses = declared().get(("GET" if method == "HEAD" else method, path))
    if statuses is not None:
        assert response.status_code in statuses, f"{method} {path} answers with {response.status_code}, undeclared"


def _generic(options: dict[str, Any]) -> dict[str, Any]:
    return {"data": "", **options}


def error_of(response: Any) -> dict[str, Any]:
    """The error of an answer, in its one shape."""
    found = json.loads(response.text_seen)["error"]
    assert set(found) == {"code", "message", "fields", "request_id"}
    assert found["request_id"] == response["X-Request-Id"]
    return found


@pytest.fixture(autouse=True)
def _fresh_rates(settings: Any) -> None:
    """Requests are counted in Valkey, which outlives a test: each counts under a name of its own."""
    settings.RATELIMIT_CACHE_PREFIX = f"{uuid4().hex}:"


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def member(organization: "Organization", role: str) -> "User":
    """Somebody of this role."""
    from apps.orgs.actions import member_add
    from apps.orgs.models import User

    user = User.objects.create_user(f"{role}@{organization.slug}.test", PASSWORD)
    member_add(organization=organization, user=user, role=role, actor=Actor.system("command"))
    return user


@pytest.fixture
def forbidden(db: None) -> set[str]:
    """What no answer may hold: looked for in all of them."""
    return {UPSTREAM_SECRET}


type SignedIn = Callable[["User"], Api]


@pytest.fixture
def signed_in(forbidden: set[str]) -> SignedIn:
    """Ask as somebody who is signed in."""

    def sign_in(user: "User") -> Api:
        client = Client()
        client.force_login(user)
        return Api(client, forbidden=forbidden)

    return sign_in


@pytest.fixture
def owner(acme: "Organization") -> "User":
    return member(acme, "owner")


@pytest.fixture
def api(owner: "User", signed_in: SignedIn) -> Api:
    """Asks as acme's owner."""
    return signed_in(owner)


@pytest.fixture
def stranger(zeta: "Organization", signed_in: SignedIn) -> Api:
    """Asks as the owner of another organization."""
    return signed_in(member(zeta, "owner"))


@pytest.fixture
def staff(db: None, signed_in: SignedIn) -> Api:
    """Asks as one of the installation's operators."""
    from apps.orgs.models import User

    return signed_in(User.objects.create_superuser("operator@installation.test", PASSWORD))


type WithKey = Callable[..., Api]


@pytest.fixture
def with_key(acme: "Organization", forbidden: set[str]) -> WithKey:
    """Ask with a management key of acme's, issued by a command."""
    from apps.orgs.keys.actions import key_issue
    from apps.orgs.roles import Permission

    def issue(*permissions: str, organization: Any = acme, **options: Any) -> Api:
        _key, plaintext = key_issue(
            organization=organization,
            name="automation",
            permissions=permissions or list(Permission),
            most=frozenset(Permission),
            actor=Actor.system("command"),
            **options,
        )
        return Api(key=plaintext, forbidden=forbidden)

    return issue


@pytest.fixture
def service(acme: "Organization") -> "Service":
    from apps.services.actions import service_create

    return service_create(organization=acme, name="Support chat", actor=ACTOR)


@pytest.fixture
def foreign_service(zeta: "Organization") -> "Service":
    from apps.services.actions import service_create

    return service_create(organization=zeta, name="Secret project", actor=ACTOR)


@pytest.fixture
def ending() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack
