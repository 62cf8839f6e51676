"""What is exported can be applied elsewhere, and then exports the same."""

from collections.abc import Callable

import pytest
import yaml
from django.db import connection, transaction

from apps.orgs.models import Organization
from apps.policies.actions.budgets import Subject, budget_create
from apps.policies.actions.policies import inline_set, policy_attach, policy_create
from apps.services.actions import token_issue
from apps.services.models import Service
from tests.configuration.conftest import Apply
from tests.configuration.test_apply import KEYS, WHOLE
from tests.control.conftest import ACTOR, SECRET

type Export = Callable[..., str]


def test_export_applied_to_an_empty_database_exports_the_same(
    apply: Apply, export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction.atomic():
        apply(WHOLE, **KEYS)
        first = export()
        transaction.set_rollback(True)
    assert not Organization.objects.exists()
    monkeypatch.setenv("TOLLGATE_ACME_MAIN_SECRET", SECRET)
    monkeypatch.setenv("TOLLGATE_HOSTED_SHARED_SECRET", "sk-ant-shared-5678")

    ran = apply(first)

    assert ran.code == 0, ran.err
    assert export() == first
    assert apply(first, "--prune", "--dry-run").out.startswith("0 added, 0 changed, 0 removed")


def test_applying_what_was_just_exported_changes_nothing(apply: Apply, export: Export) -> None:
    apply(WHOLE, **KEYS)

    ran = apply(export(), "--prune")

    assert ran.code == 0
    assert ran.out.startswith("0 added, 0 changed, 0 removed")


def test_one_organization_is_exported_alone(apply: Apply, export: Export, zeta: Organization) -> None:
    apply(WHOLE, **KEYS)

    found = yaml.safe_load(export("--organization", "acme"))

    assert list(found) == ["version", "organizations"]
    assert [each["slug"] for each in found["organizations"]] == ["acme"]
    assert "zeta" not in str(found).lower()


def test_an_unknown_organization_is_refused(run, acme: Organization) -> None:
    ran = run("export_config", "--org", "nowhere")

    assert ran.code == 1
    assert "There is no organization 'nowhere'" in ran.err


def test_no_secret_no_id_and_no_token_is_exported(apply: Apply, export: Export) -> None:
    apply(WHOLE, **KEYS)
    shop = Service.objects.get(name="shop")
    token, plaintext = token_issue(service=shop, name="production", actor=ACTOR)

    text = export()

    for hidden in (SECRET, SECRET[-4:], plaintext, token.hint, "production", str(shop.pk), str(shop.organization_id)):
        assert hidden not in text


def test_what_ships_with_a_release_is_not_exported(export: Export, db: None) -> None:
    found = yaml.safe_load(export())

    assert found["installation"]["models"] == []
    assert found["installation"]["prices"] == []


def test_texts_that_look_like_something_else_stay_texts(apply: Apply, export: Export, acme: Organization) -> None:
    names = [
        "yes",
        "12",
        "1.50",
        "null",
        "2026-11-01",
        "12:30",
        "a: b",
        "- x",
        "# y",
        "*star",
        "&and",
        "ünïcode",
        "it's",
    ]
    for name in names:
        from apps.services.actions import service_create

        service_create(organization=acme, name=name, actor=ACTOR)

    first = export("--org", "acme")

    assert apply(first, "--prune").out.startswith("0 added, 0 changed, 0 removed")
    assert sorted(each["name"] for each in yaml.safe_load(first)["organizations"][0]["services"]) == sorted(names)


def test_what_hangs_on_tokens_is_neither_exported_nor_touched(
    apply: Apply, export: Export, acme: Organization, service: Service
) -> None:
    token, _plaintext = token_issue(service=service, name="t", actor=ACTOR)
    policy = policy_create(organization=acme, name="p", actor=ACTOR)
    policy_attach(policy=policy, layer="token", token=token, actor=ACTOR)
    inline_set(layer="token", token=token, fields={"requests_per_minute": 7}, actor=ACTOR)
    from decimal import Decimal

    from apps.policies.models import Attachment, Budget

    budget_create(
        organization=acme, subject=Subject("token", token=token), window="day", limit_usd=Decimal(5), actor=ACTOR
    )
    first = export("--org", "acme")

    ran = apply(first, "--prune")

    assert ran.out.startswith("0 added, 0 changed, 0 removed")
    assert Attachment.objects.filter(token=token).count() == 2
    assert Budget.objects.count() == 1
    assert "budgets: []" in first


def test_labels_that_make_the_same_variable_are_told_apart(apply: Apply, export: Export, acme: Organization) -> None:
    from apps.providers.actions import credential_add

    for label in ("a b", "a-b"):
        credential_add(organization=acme, provider="openai", label=label, secret=SECRET, actor=ACTOR)

    text = export("--org", "acme")

    assert "env: TOLLGATE_ACME_A_B_SECRET" in text
    assert "env: TOLLGATE_ACME_A_B_2_SECRET" in text


def test_an_export_asks_as_often_for_many_rows_as_for_few(export: Export, acme: Organization) -> None:
    from django.test.utils import CaptureQueriesContext

    from apps.services.actions import service_create

    with CaptureQueriesContext(connection) as few:
        export("--org", "acme")
    for number in range(20):
        row = service_create(organization=acme, name=f"s{number}", actor=ACTOR)
        inline_set(layer="service", service=row, fields={"requests_per_minute": 7}, actor=ACTOR)
    with CaptureQueriesContext(connection) as many:
        export("--org", "acme")

    assert len(many) == len(few)
