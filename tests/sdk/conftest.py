"""One gateway, one tenant and one simulated provider of every dialect, for all cells of the matrix."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from apps.core.env import networks
from tests.gateway.conftest import (  # noqa: F401  # fixtures and hooks of the gateway's tests serve here too
    db,
    gateway,
    pytest_runtest_makereport,
    pytest_runtest_setup,
)
from tests.sdk.cells import CLIENTS, Cell, model_of
from tests.sdk.clients import PYTHON
from tests.sdk.clients.node import NODES, NodeClient, NodeProcess
from tests.sdk.features import FEATURES
from tests.sdk.scenes import Client
from tests.sdk.upstreams import UPSTREAMS, respond
from tests.support.gateway import LOOPBACK, GatewayProcess
from tests.support.node import installed_node
from tests.support.provider import FakeProvider

if TYPE_CHECKING:
    from tests.support.tenant import Tenant


@pytest.fixture(scope="session")
def tollgate(
    gateway: GatewayProcess,  # noqa: F811  # the fixture
    django_db_blocker: Any,
    request: pytest.FixtureRequest,
) -> "Iterator[Tenant]":
    """A tenant whose models lead to the simulated providers."""
    from django.test import override_settings

    from tests.support.tenant import tenant

    with (
        override_settings(EGRESS_ALLOW=networks(LOOPBACK)),
        django_db_blocker.unblock(),
        FakeProvider() as provider,
        tenant(gateway, provider) as made,
    ):
        provider.replies(respond, always=True)
        _add_models(made, provider.url, _played(request.session))
        yield made


def _played(session: pytest.Session) -> set[str]:
    """The models that the collected tests ask for."""
    cells = (item.callspec.params.get("cell") for item in session.items if hasattr(item, "callspec"))
    return {cell.model for cell in cells if isinstance(cell, Cell)} | {model_of("gemini", "", "")}


def _add_models(made: "Tenant", url: str, wanted: set[str]) -> None:
    """One for each provider; and for each of its faults and each client one of its own, as a fault tells on what comes next."""
    faults = sorted({feature.fault for feature in FEATURES.values() if feature.fault})
    for upstream in UPSTREAMS:
        for fault in ("", *faults):
            base = f"{url}/{upstream.name}{f'.{fault}' if fault else ''}{upstream.base}"
            for client in CLIENTS if fault else CLIENTS[:1]:
                if (name := model_of(upstream.name, fault, client)) not in wanted:
                    continue
                label = f"{upstream.name}-{fault}-{uuid4().hex[:8]}"
                credential = made.add_credential(
                    base, provider=upstream.provider, label=label, api_version=upstream.api_version
                )
                made.add_model(
                    name,
                    credential=credential,
                    provider=upstream.provider,
                    upstream_name=upstream.model,
                    priced_as=upstream.priced_as,
                )


@pytest.fixture(scope="session")
def client_named(tollgate: "Tenant") -> Iterator[Callable[..., Client]]:
    """The clients by name, each made once. `strict`: with the token whose policy refuses every loss.

    Those of Node skip where there is none.
    """
    from tests.support.governed import ruled

    ruled(tollgate, untranslatable="strict")
    tokens = {True: tollgate.token, False: tollgate.issue_token()[1]}
    processes: dict[bool, NodeProcess] = {}
    made: dict[tuple[str, bool], Client] = {}
    with contextlib.ExitStack() as closing:

        def make(name: str, *, strict: bool) -> Client:
            url, token = tollgate.gateway.url, tokens[strict]
            if name not in NODES:
                return PYTHON[name](url, token)
            if strict not in processes:
                processes[strict] = closing.enter_context(NodeProcess(installed_node(), url, token))
            return NodeClient(name, processes[strict])

        def find(name: str, *, strict: bool = False) -> Client:
            if (name, strict) not in made:
                made[name, strict] = make(name, strict=strict)
                closing.callback(made[name, strict].close)
            return made[name, strict]

        yield find
