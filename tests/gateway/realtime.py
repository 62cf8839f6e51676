"""What the tests of realtime sessions share."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from apps.audit.models import RequestRecord
from tests.support.gateway import GatewayProcess
from tests.support.governed import priced
from tests.support.provider import FakeProvider
from tests.support.realtime import RealtimeProvider, add_realtime
from tests.support.tenant import Tenant, tenant

PRICES: dict[str, Decimal] = {  # USD a million
    "input": Decimal(4),
    "cached_input": Decimal("0.4"),
    "output": Decimal(16),
    "audio_input": Decimal(32),
    "cached_audio_input": Decimal("0.4"),
    "audio_output": Decimal(64),
}
# Of one response with tests.support.realtime.USAGE: 45 fresh tokens of text, 35 of audio, 15 and 5 cached; 20 and 30 out.
COST = (45 * 4 + 15 * Decimal("0.4") + 20 * 16 + 35 * 32 + 5 * Decimal("0.4") + 30 * 64) / 10**6
# The most that one can cost: all that a model of unknown size keeps, and its longest answer, all of it audio.
WORST = (128_000 * Decimal(32) + 16_384 * Decimal(64)) / 10**6


def voiced(made: Tenant, provider: RealtimeProvider) -> Tenant:
    """The tenant with a model whose sessions are the provider's, and its prices."""
    add_realtime(made, provider)
    priced(made, "gpt-realtime", **PRICES)
    return made


@contextmanager
def voiced_tenant(gateway: GatewayProcess, provider: RealtimeProvider) -> Iterator[Tenant]:
    """Such a tenant on a gateway of the test's own."""
    with FakeProvider() as unused, tenant(gateway, unused) as made:
        yield voiced(made, provider)


def by_endpoint(made: Tenant, count: int) -> dict[str, list[RequestRecord]]:
    """The tenant's records once there are so many, oldest first."""
    found: dict[str, list[Any]] = {}
    for record in sorted(made.records(count), key=lambda record: record.created_at):
        found.setdefault(record.endpoint, []).append(record)
    return found
