"""The installation's own credentials, offered to organizations: after their own, at the book's prices, and not to everybody."""

from collections.abc import Iterator
from decimal import Decimal
from uuid import uuid4

import pytest
from django.utils.timezone import now

from apps.audit.models import AdminEvent, RequestRecord
from apps.orgs.actions import organization_entitle
from apps.policies.explanation import Asked, as_json
from apps.policies.selectors.candidates import find_candidates, sheet_of
from apps.policies.selectors.explain import explain_call
from apps.providers.actions import credential_add, credential_disable, credential_enable, model_add, model_update
from apps.providers.aliases.actions import AliasGoal
from apps.providers.models import Credential, ProviderModel
from apps.providers.prices.actions import price_set
from tests.support.gateway import GatewayProcess, eventually
from tests.support.governed import LONG_AGO
from tests.support.provider import FakeProvider
from tests.support.routes import alias, answers, ask, asked, status
from tests.support.tenant import ACTOR, SECRET, Tenant, tenant


@pytest.fixture
def house() -> Iterator[FakeProvider]:
    """The provider that the installation has an account at."""
    with FakeProvider() as provider:
        yield provider


@pytest.fixture
def hosted(acme: Tenant, house: FakeProvider) -> Iterator[Credential]:
    """The installation's credential, which serves a model of this test's own to all."""
    credential = credential_add(
        organization=None,
        provider="openai_compatible",
        label=f"house-{uuid4().hex[:8]}",
        base_url=house.url + "/v1",
        secret=SECRET,
        actor=ACTOR,
    )
    yield credential
    credential_disable(credential=credential, actor=ACTOR)


@pytest.fixture
def model(hosted: Credential) -> str:
    name = f"hosted-{uuid4().hex[:8]}"
    model_add(organization=None, provider="openai_compatible", name=name, credential=hosted, actor=ACTOR)
    prices = {"input": Decimal(1000), "output": Decimal(2000)}
    price_set(
        organization=None,
        provider="openai_compatible",
        model=name,
        prices=prices,
        effective_from=LONG_AGO,
        actor=ACTOR,
    )
    return name


def test_what_is_hosted_serves_whoever_has_none_of_its_own_and_the_record_says_so(
    acme: Tenant, model: str, hosted: Credential
) -> None:
    answers(acme, model)

    record = acme.records()[-1]
    assert record.credential_id == hosted.pk
    assert record.attempts[-1]["hosted"] is True
    assert record.organization_id == acme.organization.pk


def test_hosted_use_costs_what_the_book_says(acme: Tenant, model: str) -> None:
    answers(acme, model)

    record = acme.records()[-1]
    assert record.cost_usd == (Decimal(record.input_tokens) * 1000 + Decimal(record.output_tokens) * 2000) / 1_000_000
    assert record.cost_usd > 0


BOOK = (Decimal(1000), Decimal(2000))


def cost_at(record: RequestRecord, prices: tuple[Decimal, Decimal]) -> Decimal:
    """What a record's tokens cost at these prices of a million, in and out."""
    return (Decimal(record.input_tokens or 0) * prices[0] + Decimal(record.output_tokens or 0) * prices[1]) / 1_000_000


def last(acme: Tenant, model: str) -> RequestRecord | None:
    """The latest record of a call of this name that was answered."""
    rows = RequestRecord.objects.filter(organization_id=acme.organization.pk, model_asked=model, status=200)
    return rows.order_by("-id").first()


def test_an_organizations_own_price_is_for_its_own_accounts_alone(
    acme: Tenant, model: str, upstream: FakeProvider
) -> None:
    gift = {"input": Decimal(0), "output": Decimal(0)}
    price_set(
        organization=acme.organization,
        provider="openai_compatible",
        model=model,
        prices=gift,
        effective_from=LONG_AGO,
        actor=ACTOR,
    )
    answers(acme, model)
    record = acme.records()[-1]
    assert record.cost_usd == cost_at(record, BOOK)
    acme.token_row.refresh_from_db()
    found = find_candidates(acme.organization, model)
    sheet = sheet_of(found.candidates[0], acme.organization, now())
    assert sheet is not None
    assert [row.prices["input"] for row in sheet.rows] == [1000 * 1_000_000]

    own = acme.add_route(model, upstream.url + "/v1")
    eventually(lambda: answers(acme, model) and acme.records()[-1].credential_id == own.pk, what="its own account")
    assert acme.records()[-1].cost_usd == 0


def test_a_hosted_model_costs_the_same_whatever_an_organization_calls_it_and_has_it_priced_as(
    acme: Tenant, model: str, hosted: Credential
) -> None:
    price_set(
        organization=None,
        provider="openai_compatible",
        model="cheap-model",
        prices={"input": Decimal("0.01"), "output": Decimal("0.01")},
        effective_from=LONG_AGO,
        actor=ACTOR,
        replace=True,
    )
    for name, credential in (("ours", hosted), ("ours-too", None)):
        model_add(
            organization=acme.organization,
            provider="openai_compatible",
            name=f"{name}-{model}",
            upstream_name=model,
            credential=credential,
            priced_as="cheap-model",
            actor=ACTOR,
        )
    credential_disable(credential=acme.credential, actor=ACTOR)
    alias(acme, f"fast-{model}", AliasGoal(model=model, credential=hosted))
    for name in ("ours", "ours-too", "fast"):
        answers(acme, f"{name}-{model}")
        record = eventually(lambda asked_for=f"{name}-{model}": last(acme, asked_for), what=f"the record of {name}")
        assert record is not None
        assert record.credential_id == hosted.pk
        assert record.cost_usd == cost_at(record, BOOK), name


def test_what_the_installation_has_disabled_is_not_had_under_another_name(
    acme: Tenant, model: str, hosted: Credential, house: FakeProvider
) -> None:
    model_add(
        organization=acme.organization,
        provider="openai_compatible",
        name=f"ours-{model}",
        upstream_name=model,
        credential=hosted,
        actor=ACTOR,
    )
    answers(acme, f"ours-{model}")
    before = len(asked(house))
    row = ProviderModel.objects.get(organization=None, name=model)
    model_update(model=row, enabled=False, actor=ACTOR)

    status(acme, f"ours-{model}", 502)
    assert len(asked(house)) == before


def test_an_organizations_own_wins_over_hosted_whatever_their_priorities(
    acme: Tenant, model: str, house: FakeProvider, upstream: FakeProvider
) -> None:
    own = acme.add_route(model, upstream.url + "/v1", priority=30_000)

    answers(acme, model)

    record = acme.records()[-1]
    assert record.credential_id == own.pk
    assert "hosted" not in record.attempts[-1]
    assert asked(house) == []


def test_a_provider_hosted_and_an_own_one_of_the_same_model_is_the_organizations(
    acme: Tenant, house: FakeProvider, upstream: FakeProvider, hosted: Credential
) -> None:
    """The same row of the catalogue, which any credential of the provider serves."""
    name = f"both-{uuid4().hex[:8]}"
    model_add(organization=None, provider="openai_compatible", name=name, actor=ACTOR)

    answers(acme, name)

    assert acme.records()[-1].credential_id == acme.credential.pk
    assert asked(house) == []


def test_who_is_not_entitled_gets_none_of_it_and_is_told_why_by_explain(
    acme: Tenant, model: str, house: FakeProvider
) -> None:
    answers(acme, model)
    before = len(asked(house))

    assert organization_entitle(organization=acme.organization, hosted_credentials=False, actor=ACTOR)

    refused = status(acme, model, 502)
    assert refused.json()["error"]["code"] == "no_credential"
    assert len(asked(house)) == before
    acme.token_row.refresh_from_db()
    told = explain_call(acme.token_row, Asked(model=model, endpoint="chat_completions", at=now()))
    assert "may not use the installation's credentials" in str(as_json(told))
    event = AdminEvent.objects.get(action="organization.entitled", organization_id=acme.organization.pk)
    assert (event.before, event.after) == ({"hosted_credentials": True}, {"hosted_credentials": False})

    organization_entitle(organization=acme.organization, hosted_credentials=True, actor=ACTOR)
    status(acme, model, 200)


def test_who_is_not_entitled_still_has_its_own(acme: Tenant, model: str, upstream: FakeProvider) -> None:
    own = acme.add_route(model, upstream.url + "/v1")
    organization_entitle(organization=acme.organization, hosted_credentials=False, actor=ACTOR)

    credential_disable(credential=own, actor=ACTOR)
    status(acme, model, 502)
    credential_enable(credential=own, actor=ACTOR)
    status(acme, model, 200)


def test_one_organizations_entitlement_is_nobody_elses(
    acme: Tenant, gateway: GatewayProcess, upstream: FakeProvider, model: str
) -> None:
    with tenant(gateway, upstream) as zeta:
        organization_entitle(organization=acme.organization, hosted_credentials=False, actor=ACTOR)

        status(acme, model, 502)
        assert ask(zeta, model).status_code == 200
