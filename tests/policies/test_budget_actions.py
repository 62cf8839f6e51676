"""What a budget can be and what it cannot: every refusal names its field and the remedy, and nothing is half-saved."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.audit.models import Adjustment, AdminEvent
from apps.core.models import Change
from apps.orgs.models import Organization
from apps.policies.actions.adjustments import adjustment_record
from apps.policies.actions.budgets import (
    Subject,
    budget_create,
    budget_delete,
    budget_disable,
    budget_enable,
    budget_set,
    budget_update,
    checked_tag,
)
from apps.policies.models import Budget, Policy
from apps.policies.usd import nano_text, parse_usd, usd_text
from tests.support.spending import ACTOR, a_service, a_token, an_organization

pytestmark = pytest.mark.django_db


@pytest.fixture
def organization() -> Organization:
    return an_organization()


def create(organization: Organization, **fields: Any) -> Budget:
    values: dict[str, Any] = {
        "subject": Subject("organization"),
        "window": "month",
        "limit_usd": Decimal(100),
        "actor": ACTOR,
    }
    return budget_create(organization=organization, **{**values, **fields})


def refusal(organization: Organization, **fields: Any) -> dict[str, list[str]]:
    """The messages by field; nothing was written."""
    events = AdminEvent.objects.count()
    with pytest.raises(ValidationError) as caught:
        create(organization, **fields)
    assert Budget.objects.filter(organization=organization).count() == 0
    assert AdminEvent.objects.count() == events
    return caught.value.message_dict


# --- Amounts ---


@pytest.mark.parametrize(
    ("usd", "words"),
    [
        ("NaN", "not a number"),
        ("sNaN", "not a number"),
        ("Infinity", "not a number"),
        ("-Infinity", "not a number"),
        ("-0.000000001", "below 0"),
        ("9000000.000000001", "above 9,000,000"),
        ("1E+400", "above 9,000,000"),
        ("0.0000000001", "more than 9 decimals"),
        ("1E-400", "more than 9 decimals"),
    ],
)
def test_a_limit_that_cannot_be_counted_is_refused(organization: Organization, usd: str, words: str) -> None:
    (message,) = refusal(organization, limit_usd=Decimal(usd))["limit_usd"]
    assert words in message


@pytest.mark.parametrize("usd", ["0", "0.000000001", "9000000", "12.50", "1E+3", "-0"])
def test_a_limit_is_kept_to_the_last_digit(organization: Organization, usd: str) -> None:
    budget = create(organization, limit_usd=Decimal(usd))
    assert Budget.objects.get(pk=budget.pk).limit_usd == Decimal(usd)


def test_a_float_is_no_money(organization: Organization) -> None:
    with pytest.raises(TypeError):
        create(organization, limit_usd=0.1)


@pytest.mark.parametrize("word", ["5", "0.25", ".5", "-1.25", "+3", "000.10", "123456789012.123456789012"])
def test_plain_digits_are_an_amount(word: str) -> None:
    assert parse_usd(word, "usd") == Decimal(word)


@pytest.mark.parametrize(
    "word",
    [
        "",
        " ",
        "$5",
        "5 USD",
        "5,00",
        "1,000",
        "1e3",
        "NaN",
        "inf",
        "5.",
        "\u0665",
        "0x10",
        "1_000",
        "--5",
        "1.2.3",
        "5\n",
    ],
)
def test_what_could_be_read_in_two_ways_is_no_amount(word: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_usd(word, "usd")
    assert "plain digits" in caught.value.message_dict["usd"][0]


@given(st.decimals(-9_000_000, 9_000_000, places=9))
def test_an_amount_is_read_as_it_is_written(amount: Decimal) -> None:
    assert parse_usd(usd_text(amount), "usd") == amount
    assert nano_text(int(amount.scaleb(9))) == usd_text(amount)


# --- Whose ---


def test_each_scope_takes_what_it_is_about(organization: Organization) -> None:
    service = a_service(organization)
    subjects = [
        Subject("organization"),
        Subject("service", service=service),
        Subject("token", token=a_token(service)),
        Subject("policy", policy=Policy.objects.create(organization=organization, name="interns")),
        Subject("end_user", end_user="ana@example.org"),
        Subject("end_user", end_user="*"),
        Subject("tag", tag="team=search"),
    ]
    for subject in subjects:
        budget = create(organization, subject=subject)
        assert budget.scope == subject.scope
    assert Budget.objects.filter(organization=organization).count() == len(subjects)


def test_a_scope_without_its_subject_is_refused(organization: Organization) -> None:
    for scope in ("service", "token", "policy", "end_user", "tag"):
        assert "name it" in refusal(organization, subject=Subject(scope))[scope][0]


def test_a_subject_of_another_scope_is_refused(organization: Organization) -> None:
    service = a_service(organization)
    assert "leave it out" in refusal(organization, subject=Subject("organization", service=service))["service"][0]
    mixed = Subject("service", service=service, end_user="ana")
    assert "leave it out" in refusal(organization, subject=mixed)["end_user"][0]


def test_rows_of_another_organization_are_refused(organization: Organization) -> None:
    other = an_organization()
    service = a_service(other)
    foreign = {
        "service": service,
        "token": a_token(service),
        "policy": Policy.objects.create(organization=other, name="interns"),
    }
    for field, row in foreign.items():
        assert "does not belong" in refusal(organization, subject=Subject(field, **{field: row}))[field][0]
    hosted = Policy.objects.create(organization=None, name=f"hosted-{uuid4().hex}")
    assert refusal(organization, subject=Subject("policy", policy=hosted))["policy"]


def test_unknown_words_are_refused_with_those_there_are(organization: Organization) -> None:
    assert "end_user" in refusal(organization, subject=Subject("team"))["scope"][0]
    assert "rolling" in refusal(organization, window="year")["window"][0]
    assert "alert" in refusal(organization, action="warn")["action"][0]


@pytest.mark.parametrize("end_user", ["a\nb", "\u202eana", "\x00", "\x7f", "\ud800", "x" * 256])
def test_an_end_user_that_no_request_can_name_is_refused(organization: Organization, end_user: str) -> None:
    assert refusal(organization, subject=Subject("end_user", end_user=end_user))["end_user"]


@pytest.mark.parametrize(
    "tag",
    [
        "team",
        "=search",
        "team=",
        "a= ",
        "te am=x",
        "équipe=x",
        "a" * 65 + "=x",
        "a=" + "x" * 129,
        "a=b\nc",
        "a=\x00",
        "a=\u202eb",
    ],
)
def test_what_is_no_tag_is_refused(organization: Organization, tag: str) -> None:
    assert "key=value" in refusal(organization, subject=Subject("tag", tag=tag))["tag"][0]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.from_regex(r"[A-Za-z0-9_.-]{1,64}", fullmatch=True),
    st.text(min_size=1, max_size=128).filter(str.isprintable).filter(lambda value: value == value.strip()),
)
def test_a_tags_key_is_kept_in_lower_case_and_its_value_as_it_is(key: str, value: str) -> None:
    kept = checked_tag(f"{key}={value}")
    assert kept == f"{key.lower()}={value}"
    assert checked_tag(kept) == kept


# --- Windows, levels ---


def test_rolling_days_go_with_a_rolling_window_alone(organization: Organization) -> None:
    for days in (None, 0, 1, 367, -3):
        assert "from 2 to 366" in refusal(organization, window="rolling", rolling_days=days)["rolling_days"][0]
    assert refusal(organization, window="month", rolling_days=7)["rolling_days"]
    assert create(organization, window="rolling", rolling_days=366).rolling_days == 366


def test_levels_are_whole_percentages_each_once(organization: Organization) -> None:
    for levels in ([0], [1001], [-1], [50, 50], [True], [50.5]):
        assert refusal(organization, alert_at=levels)["alert_at"]
    assert create(organization, alert_at=[100, 1, 1000]).alert_at == [1, 100, 1000]


def test_a_second_budget_of_a_scope_and_window_is_refused_and_says_which_there_is(organization: Organization) -> None:
    first = create(organization, limit_usd=Decimal("12.5"))
    with pytest.raises(ValidationError) as caught:
        create(organization)
    (message,) = caught.value.message_dict["window"]
    assert "12.50 USD" in message
    assert str(first.pk) in message
    create(organization, window="day")
    create(organization, window="rolling", rolling_days=7)
    create(organization, window="rolling", rolling_days=8)
    assert Budget.objects.filter(organization=organization).count() == 4


# --- Changes ---


def actions_of(budget: Budget) -> list[str]:
    return list(AdminEvent.objects.filter(target_id=budget.pk).order_by("id").values_list("action", flat=True))


def test_every_change_is_an_event_with_before_and_after(organization: Organization) -> None:
    budget = create(organization)
    budget_update(budget=budget, limit_usd=Decimal("50.5"), alert_at=[80], actor=ACTOR)
    budget_update(budget=budget, limit_usd=Decimal("50.5"), actor=ACTOR)  # nothing changes
    assert budget_disable(budget=budget, actor=ACTOR)
    assert not budget_disable(budget=budget, actor=ACTOR)
    assert budget_enable(budget=budget, actor=ACTOR)
    assert not budget_enable(budget=budget, actor=ACTOR)
    pk = budget.pk
    budget_delete(budget=budget, actor=ACTOR)
    rows = AdminEvent.objects.filter(target_id=pk).order_by("id")
    assert [row.action for row in rows] == [
        "budget.created",
        "budget.updated",
        "budget.disabled",
        "budget.enabled",
        "budget.deleted",
    ]
    assert rows[1].before == {"limit_usd": "100.000000000", "alert_at": []}
    assert rows[1].after == {"limit_usd": "50.5", "alert_at": [80]}
    assert rows[4].before is not None
    assert not Budget.objects.filter(pk=pk).exists()


def test_a_refused_change_changes_nothing(organization: Organization) -> None:
    budget = create(organization)
    for change in ({"limit_usd": Decimal(-1)}, {"alert_at": [0]}, {"window": "rolling"}, {"action": "warn"}):
        with pytest.raises(ValidationError):
            budget_update(budget=budget, actor=ACTOR, **change)
    with pytest.raises(TypeError):
        budget_update(budget=budget, scope="tag", actor=ACTOR)
    assert actions_of(budget) == ["budget.created"]
    assert Budget.objects.get(pk=budget.pk).limit_usd == 100


def test_a_window_can_be_changed_to_one_that_is_free(organization: Organization) -> None:
    budget = create(organization)
    create(organization, window="day")
    with pytest.raises(ValidationError):
        budget_update(budget=budget, window="day", actor=ACTOR)
    assert budget_update(budget=budget, window="rolling", rolling_days=30, actor=ACTOR).rolling_days == 30


def test_setting_a_budget_creates_it_once_and_changes_it_then(organization: Organization) -> None:
    def put(usd: int, **options: Any) -> tuple[Budget, bool]:
        return budget_set(
            organization=organization,
            subject=Subject("tag", tag="Team=search"),
            window="week",
            limit_usd=Decimal(usd),
            actor=ACTOR,
            **options,
        )

    budget, created = put(5, alert_at=[80], action="alert")
    assert created
    budget_disable(budget=budget, actor=ACTOR)
    again, created = put(6)
    assert not created
    assert again.pk == budget.pk
    assert (again.limit_usd, again.alert_at, again.action, again.enabled) == (6, [80], "alert", True)


def test_gateways_are_told_of_every_change(organization: Organization) -> None:
    def changes() -> int:
        return Change.objects.filter(kind="policies_budget", organization_id=organization.pk).count()

    budget = create(organization)
    seen = [changes()]
    budget_update(budget=budget, limit_usd=Decimal(1), actor=ACTOR)
    seen.append(changes())
    budget_disable(budget=budget, actor=ACTOR)
    seen.append(changes())
    budget_delete(budget=budget, actor=ACTOR)
    seen.append(changes())
    assert seen == sorted(set(seen))
    assert seen[0] >= 1


# --- Adjustments ---


def test_an_adjustment_names_rows_of_its_organization_alone(organization: Organization) -> None:
    service = a_service(organization)
    token = a_token(service)
    other = an_organization()
    wrong: list[tuple[str, Organization, dict[str, Any]]] = [
        ("token", other, {"token": token}),
        ("service", other, {"service": service}),
        ("token", organization, {"token": token, "service": a_service(organization)}),
    ]
    for field, owner, rows in wrong:
        with pytest.raises(ValidationError) as caught:
            adjustment_record(organization=owner, amount_usd=Decimal(1), reason="x", actor=ACTOR, **rows)
        assert list(caught.value.message_dict) == [field]
    assert not Adjustment.objects.filter(organization_id__in=[organization.pk, other.pk]).exists()


@pytest.mark.parametrize("usd", ["NaN", "Infinity", "0", "-0", "9000000.01", "-9000000.01", "1E-13"])
def test_an_adjustment_that_is_no_amount_is_refused(organization: Organization, usd: str) -> None:
    with pytest.raises(ValidationError) as caught:
        adjustment_record(organization=organization, amount_usd=Decimal(usd), reason="x", actor=ACTOR)
    assert list(caught.value.message_dict) == ["amount_usd"]
