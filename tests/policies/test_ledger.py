"""The ledger tells what was spent, to the last digit and by the day."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest
from django.db import connection

from apps.audit.models import Adjustment
from apps.orgs.models import Organization
from apps.policies import ledger
from apps.policies.windows import Span, midnight, span
from apps.services.models import Token
from tests.support.spending import a_service, a_token, an_organization, spend

pytestmark = pytest.mark.django_db

UTC_ZONE = ZoneInfo("UTC")
NOON = datetime(2026, 11, 20, 12, 7, 30, tzinfo=UTC)
SCOPES = ("organization", "service", "token", "end_user", "tag")


@pytest.fixture
def organization() -> Organization:
    return an_organization()


@pytest.fixture
def token(organization: Organization) -> Token:
    return a_token(a_service(organization))


def subject_of(scope: str, token: Token) -> UUID | str | None:
    return {
        "organization": None,
        "service": token.service_id,
        "token": token.pk,
        "end_user": "ana",
        "tag": "team=search",
    }[scope]


def rows(sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def spent(scope: str, token: Token, window: Span) -> Decimal:
    values = ledger.parameters(token.organization_id, subject_of(scope, token), window)
    ((total,),) = rows(ledger.spent_sql(scope), values)
    assert isinstance(total, Decimal)
    return total


def adjust(token: Token, usd: str, at: datetime = NOON, **fields: Any) -> Adjustment:
    return Adjustment.objects.create(
        organization_id=token.organization_id,
        service_id=token.service_id,
        token_id=token.pk,
        at=at,
        amount_usd=Decimal(usd),
        reason="test",
        **{"end_user": "ana", "tags": ["team=search"], **fields},
    )


@pytest.mark.parametrize("scope", SCOPES)
def test_every_digit_counts(scope: str, token: Token) -> None:
    for usd in ("0.000000000001", "8999999.999999999998", "0.1", "0.2"):
        spend(token, usd, NOON, end_user="ana", tags=["team=search", "tier=gold"])
    spend(token, None, NOON, end_user="ana", tags=["team=search"])  # nothing to pay
    assert spent(scope, token, span("day", None, UTC_ZONE, NOON)) == Decimal("9000000.299999999999")


@pytest.mark.parametrize("scope", SCOPES)
def test_nothing_spent_is_zero(scope: str, token: Token) -> None:
    assert spent(scope, token, span("day", None, UTC_ZONE, NOON)) == 0


@pytest.mark.parametrize("scope", SCOPES)
def test_a_window_holds_its_first_moment_and_not_its_last(scope: str, token: Token) -> None:
    window = span("day", None, UTC_ZONE, NOON)
    for usd, at in (("1", window.starts - 0.001), ("2", window.starts), ("4", window.ends - 0.001), ("8", window.ends)):
        spend(token, usd, datetime.fromtimestamp(at, UTC), end_user="ana", tags=["team=search"])
    assert spent(scope, token, window) == 6


@pytest.mark.parametrize("scope", SCOPES)
def test_a_total_window_holds_everything(scope: str, token: Token) -> None:
    for usd, at in (("1", datetime(2020, 2, 29, tzinfo=UTC)), ("2", NOON)):
        spend(token, usd, at, end_user="ana", tags=["team=search"])
    assert spent(scope, token, span("total", None, UTC_ZONE, NOON)) == 3


@pytest.mark.parametrize("scope", SCOPES)
def test_others_spending_is_never_counted(scope: str, token: Token) -> None:
    spend(token, "1", NOON, end_user="ana", tags=["team=search"])
    stranger = a_token(a_service(an_organization()))
    spend(stranger, "2", NOON, end_user="ana", tags=["team=search"])
    adjust(stranger, "4")
    if scope != "organization":
        neighbor = a_token(a_service(Organization.objects.get(pk=token.organization_id)))
        spend(neighbor, "8", NOON, end_user="Ana", tags=["team=searches", "search"])
        adjust(neighbor, "16", end_user="", tags=[])
    assert spent(scope, token, span("day", None, UTC_ZONE, NOON)) == 1


@pytest.mark.parametrize("scope", SCOPES)
def test_adjustments_count_at_their_time(scope: str, token: Token) -> None:
    spend(token, "5", NOON, end_user="ana", tags=["team=search"])
    adjust(token, "-1.25")
    adjust(token, "-2", at=NOON - timedelta(days=1))
    assert spent(scope, token, span("day", None, UTC_ZONE, NOON)) == Decimal("3.75")


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize(
    ("zone", "last_day"),
    [
        ("UTC", date(2026, 11, 20)),
        ("Asia/Kathmandu", date(2026, 11, 20)),  # 5:45 ahead
        ("Australia/Lord_Howe", date(2026, 10, 5)),  # half an hour of summer time from October 4
        ("America/New_York", date(2026, 11, 2)),  # November 1 has 25 hours
        ("Asia/Beirut", date(2026, 3, 30)),  # March 29 begins at 01:00
    ],
)
def test_days_are_those_of_the_zone(scope: str, token: Token, zone: str, last_day: date) -> None:
    local = ZoneInfo(zone)
    expected = {}
    for ago in range(4):
        day = last_day - timedelta(days=ago)
        begins = midnight(day, local)
        ends = midnight(day + timedelta(days=1), local)
        for usd, at in ((2**ago, begins), (100 * 2**ago, ends - timedelta(milliseconds=1))):
            spend(token, str(usd), at, end_user="ana", tags=["team=search"])
        if ago < 3:
            expected[(day - date(1970, 1, 1)).days] = Decimal(101 * 2**ago)
    window = span("rolling", 3, local, midnight(last_day, local))
    values = ledger.parameters(token.organization_id, subject_of(scope, token), window, local)
    assert dict(rows(ledger.spent_days_sql(scope), values)) == expected
    assert max(expected) == window.day
    assert spent(scope, token, window) == sum(expected.values())


@pytest.mark.parametrize("scope", SCOPES)
async def test_the_statements_serve_asynchronous_connections_as_well(scope: str) -> None:
    """On which values are bound by the server."""
    subject = uuid4() if scope in {"service", "token"} else "team=search"
    window = span("rolling", 7, UTC_ZONE, NOON)
    values = ledger.parameters(uuid4(), subject, window, UTC_ZONE)
    options = connection.get_connection_params() | {"cursor_factory": psycopg.AsyncCursor, "context": None}
    async with await psycopg.AsyncConnection.connect(**options) as link:
        total = await link.execute(ledger.spent_sql(scope), values)
        assert await total.fetchone() == (0,)
        days = await link.execute(ledger.spent_days_sql(scope), values)
        assert await days.fetchall() == []
        ids = await link.execute(ledger.CONTAINS_SQL, ledger.contains_parameters([uuid4()]))
        assert await ids.fetchall() == []


def test_it_knows_which_requests_it_holds(token: Token) -> None:
    paid, free = spend(token, "1", NOON), spend(token, None, NOON - timedelta(days=40))
    found = rows(ledger.CONTAINS_SQL, ledger.contains_parameters([paid, free, uuid4()]))
    assert {row[0] for row in found} == {paid, free}
    assert rows(ledger.CONTAINS_SQL, ledger.contains_parameters([])) == []


def test_the_top_end_users_are_those_who_spent_most(token: Token) -> None:
    for end_user, usd in (("ana", "3"), ("ben", "2"), ("", "100"), ("cleo", "2.5")):
        spend(token, usd, NOON, end_user=end_user)
    adjust(token, "-2", tags=[])
    values = ledger.parameters(token.organization_id, None, span("day", None, UTC_ZONE, NOON)) | {"most": 2}
    assert rows(ledger.TOP_END_USERS_SQL, values) == [("cleo", Decimal("2.5")), ("ben", Decimal(2))]


def test_a_policy_has_no_spending_of_its_own() -> None:
    with pytest.raises(ValueError, match="policy"):
        ledger.spent_sql("policy")
