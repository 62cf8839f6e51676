"""A tenant of a test's own: organization, service, token, and models that lead to the test's own fake provider.

Everything is committed, so that the gateway's process sees it, and nothing is ever truncated: tests do not meet because
each has its own tenant.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
import openai

from apps.audit.models import RequestRecord
from apps.audit.selectors import record_get
from apps.core.actor import Actor
from apps.core.ids import parse_request_id
from apps.orgs.actions import organization_create
from apps.orgs.models import Organization
from apps.providers.actions import credential_add, model_add
from apps.providers.models import Credential, ModelKind, ProviderModel
from apps.services.actions import service_create, token_issue
from apps.services.models import Service, Token
from tests.support.gateway import GatewayProcess, eventually
from tests.support.provider import FakeProvider

ACTOR = Actor.system("command")
SECRET = "sk-upstream-0123456789abcdef"


@dataclass(slots=True, kw_only=True)
class Tenant:
    """Whom a test calls as. `token` is the plaintext; `token_row` its row."""

    gateway: GatewayProcess
    upstream: FakeProvider
    organization: Organization
    service: Service
    token: str
    token_row: Token
    credential: Credential
    models: dict[str, ProviderModel] = field(default_factory=dict)
    answered: dict[str, int] = field(default_factory=dict)  # x-request-id → status, of calls that must be recorded
    _closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    # --- Calling ---

    def client(self, *, at: str = "/v1", token: str | None = None, **options: Any) -> openai.OpenAI:
        """The official client, without retries of its own. Closed with the tenant."""
        options = {"max_retries": 0, "timeout": 20, **options}
        client = openai.OpenAI(
            api_key=self.token if token is None else token, base_url=self.gateway.url + at, **options
        )
        self._closing.callback(client.close)
        return client

    def http(self, *, authorized: bool = True, gateway: GatewayProcess | None = None, **options: Any) -> httpx.Client:
        """A plain HTTP client, for what the official one cannot send. Closed with the tenant."""
        headers = {"authorization": f"Bearer {self.token}"} if authorized else {}
        client = httpx.Client(base_url=(gateway or self.gateway).url, headers=headers, timeout=20, **options)
        self._closing.callback(client.close)
        return client

    # --- What was recorded ---

    def records(self, count: int = 1, *, timeout: float = 10) -> list[RequestRecord]:
        """This organization's records, oldest first, once there are at least `count`. Raises AssertionError."""

        def look() -> list[RequestRecord] | None:
            rows = list(RequestRecord.objects.filter(organization_id=self.organization.pk).order_by("id"))
            return rows if len(rows) >= count else None

        found = eventually(look, timeout=timeout, what=f"{count} records")
        assert found is not None
        return found

    def record(self, shown_id: str | None = None, *, timeout: float = 10) -> RequestRecord:
        """The record of the request whose answer bore this x-request-id; without one, this tenant's only record."""
        if shown_id is not None:
            return recorded(shown_id, timeout=timeout)
        (only,) = self.records(timeout=timeout)
        return only

    def note(self, response: httpx.Response) -> None:
        """Keep in mind that this answer must be recorded, with its status: looked up when the tenant is done."""
        self.answered[response.headers["x-request-id"]] = response.status_code

    def check_noted(self) -> None:
        """Every noted answer has its record. Raises AssertionError."""
        ids = [parse_request_id(shown) for shown in self.answered]
        rows = RequestRecord.objects.filter(pk__in=ids)
        eventually(lambda: rows.count() == len(ids), what="the records of what was answered")
        assert {row.shown_id: row.status for row in rows} == self.answered

    # --- More of everything ---

    def add_model(self, name: str, **options: Any) -> ProviderModel:
        """Another model, served by this tenant's credential unless `options` say otherwise."""
        options = {"credential": self.credential, "provider": self.credential.provider, **options}
        model = model_add(organization=self.organization, name=name, actor=ACTOR, **options)
        self.models[name] = model
        return model

    def add_credential(self, base_url: str, *, provider: str = "openai_compatible", **options: Any) -> Credential:
        """Another credential of the organization."""
        options = {"secret": SECRET, "label": f"more-{uuid4().hex[:8]}", **options}
        return credential_add(
            organization=self.organization, provider=provider, base_url=base_url, actor=ACTOR, **options
        )

    def add_route(self, name: str, base_url: str, *, provider: str = "openai_compatible", **options: Any) -> Credential:
        """A model on a credential of its own: `options` are the credential's. Returns the credential."""
        upstream_name = options.pop("upstream_name", "")
        credential = self.add_credential(base_url, provider=provider, **options)
        self.add_model(name, credential=credential, provider=provider, upstream_name=upstream_name)
        return credential

    def issue_token(self, **options: Any) -> tuple[Token, str]:
        """Another token of the same service, and its plaintext."""
        return token_issue(**{"service": self.service, "name": f"more-{uuid4().hex[:8]}", "actor": ACTOR, **options})


def recorded(shown_id: str, *, timeout: float = 10) -> RequestRecord:
    """The record of a request by its x-request-id, whosoever it was. Raises AssertionError after `timeout` seconds."""
    assert parse_request_id(shown_id), f"not a request id: {shown_id!r}"
    record = eventually(lambda: record_get(shown_id), timeout=timeout, what=f"the record of {shown_id}")
    assert record is not None
    return record


def recorded_ids(organization_id: UUID) -> list[str]:
    """The ids, as clients see them, of all records of an organization."""
    rows = RequestRecord.objects.filter(organization_id=organization_id).values_list("id", flat=True)
    return [f"req_{row.hex}" for row in rows]


@contextlib.contextmanager
def tenant(gateway: GatewayProcess, upstream: FakeProvider) -> Iterator[Tenant]:
    """A fresh organization with service and token; `gpt-test` and `embed-test` lead to `upstream`, `renamed` too, where it
    is called `upstream/other`."""
    name = f"acme-{uuid4().hex[:12]}"
    organization = organization_create(name=name, slug=name, actor=ACTOR)
    service = service_create(organization=organization, name="chat", actor=ACTOR)
    row, plaintext = token_issue(service=service, name="test", actor=ACTOR)
    credential = credential_add(
        organization=organization,
        provider="openai_compatible",
        label="fake provider",
        base_url=upstream.url + "/v1",
        secret=SECRET,
        actor=ACTOR,
    )
    made = Tenant(
        gateway=gateway,
        upstream=upstream,
        organization=organization,
        service=service,
        token=plaintext,
        token_row=row,
        credential=credential,
    )
    made.add_model("gpt-test")
    made.add_model("embed-test", kind=ModelKind.EMBEDDING)
    made.add_model("renamed", upstream_name="upstream/other")
    with made._closing:
        yield made
        if made.answered:
            made.check_noted()
