"""What the console promises: every page opens for its owner and for nobody else, and no page shows a secret."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.html import escape
from django.utils.timezone import now

from apps.audit.models import Adjustment, AdminEvent, RequestRecord
from apps.core.actor import Actor
from apps.core.ids import request_id, uuid7
from apps.objects.models import OwnedObject
from apps.orgs.actions import sign_in_link_issue
from apps.orgs.invitations.actions import invitation_create
from apps.orgs.invitations.models import Invitation
from apps.orgs.keys.actions import key_issue
from apps.orgs.keys.models import ManagementKey
from apps.orgs.models import Membership, Organization, User
from apps.orgs.scim.actions import directory_token_issue
from apps.orgs.scim.models import DirectoryGroup, DirectoryToken
from apps.orgs.sso.models import Identity
from apps.policies.actions.adjustments import adjustment_record
from apps.policies.actions.budgets import Subject, budget_create
from apps.policies.actions.policies import policy_create
from apps.policies.models import AlertDelivery, Budget, BudgetAlert, CredentialAlert, Policy, Webhook
from apps.providers.aliases.actions import AliasGoal, alias_add
from apps.providers.models import Alias, Credential, ProviderModel
from apps.providers.prices.models import Price
from apps.services.actions import token_issue
from apps.services.models import Service, Token
from tests.control.conftest import ACTOR, PASSWORD, SECRET
from tests.control.recorded import events
from tests.support.provider import FakeProvider


def page(name: str, *args: Any) -> str:
    return reverse(f"admin:{name}", args=args)


@pytest.fixture
def token(service: Service, actor: Actor) -> Token:
    return token_issue(service=service, name="production", actor=actor)[0]


@pytest.fixture
def record(acme: Organization, service: Service, token: Token, credential: Credential) -> RequestRecord:
    return RequestRecord.objects.create(
        created_at=now(),
        organization=acme,
        service=service,
        token=token,
        credential=credential,
        endpoint="chat_completions",
        dialect="openai",
        method="POST",
        path="/v1/chat/completions",
        model_asked="gpt-6-sol",
        provider="openai",
        status=504,
        error_code="upstream_timeout",
        input_tokens=1200,
        output_tokens=34,
        first_byte_us=650_000,
        total_us=2_000_000,
        end_user="user-7",
        attempts=[
            {"credential": "main", "model": "gpt-6-sol", "status": 504, "started_us": 300, "total_us": 1_900_000}
        ],
    )


@pytest.fixture
def every_page(owner: User, service: Service, token: Token, credential: Credential, record: RequestRecord) -> list[str]:
    """Every list, add form, row and button of the console."""
    acme = service.organization
    budget = budget_create(
        organization=acme, subject=Subject("organization"), window="month", limit_usd=Decimal(5), actor=ACTOR
    )
    alert = BudgetAlert.objects.create(
        organization=acme, budget=budget, window_start=now(), level=50, spent_usd=Decimal(3), limit_usd=Decimal(5)
    )
    rows = {
        Organization: Organization.objects.get(slug="acme"),
        User: owner,
        Membership: Membership.objects.get(user=owner),
        DirectoryToken: directory_token_issue(organization=acme, name="Okta", actor=Actor.system("command"))[0],
        DirectoryGroup: DirectoryGroup.objects.create(organization=acme, display_name="Everybody"),
        Identity: Identity.objects.create(user=owner, issuer="https://id.test", subject="1", email=owner.email),
        ManagementKey: key_issue(
            organization=acme, name="ci", permissions=["services.read"], most=["services.read"], actor=ACTOR
        )[0],
        Invitation: invitation_create(organization=acme, email="new@else.test", role="member", actor=ACTOR)[0],
        Service: service,
        Token: token,
        Credential: credential,
        ProviderModel: ProviderModel.objects.get(name="sandbox-chat"),
        Alias: alias_add(organization=acme, name="fast", targets=[AliasGoal(model="sandbox-chat")], actor=ACTOR),
        Policy: policy_create(organization=acme, name="interns", fields={"requests_per_minute": 0}, actor=ACTOR),
        Budget: budget,
        BudgetAlert: alert,
        CredentialAlert: CredentialAlert.objects.create(organization=acme, credential=credential, status=401),
        AlertDelivery: AlertDelivery.objects.create(
            organization=acme, alert=alert, channel="email", target="owner@acme.test"
        ),
        Webhook: Webhook.objects.create(organization=acme, url="https://hooks.test/a", sealed_secret=b"sealed"),
        Adjustment: adjustment_record(organization=acme, amount_usd=Decimal("-0.5"), reason="a test", actor=ACTOR),
        Price: Price.objects.filter(model="sandbox-chat").get(),
        OwnedObject: OwnedObject.objects.create(
            organization=acme,
            service=service,
            token=token,
            credential=credential,
            kind="file",
            upstream_id="file-1",
            facts={"id": "file-1", "status": "<b>processed</b>"},
        ),
        RequestRecord: record,
        AdminEvent: AdminEvent.objects.filter(target_id=token.pk).get(),
    }
    assert set(admin.site._registry) == set(rows), "a page is missing here"
    pages = [page("index"), f"{page('search')}?s=tok"]
    pages += [page("app_list", label) for label in sorted({model._meta.app_label for model in rows})]
    for model, model_admin in admin.site._registry.items():
        name, row = f"{model._meta.app_label}_{model._meta.model_name}", rows[model]
        pages += [page(f"{name}_changelist"), page(f"{name}_change", row.pk)]
        if model not in READ_ONLY:
            pages.append(page(f"{name}_add"))
        pages += [
            page(f"{name}_{button}", row.pk) for button in model_admin.actions_detail if (name, button) not in LEADS_ON
        ]
        pages += [page(f"{name}_{button}") for button in model_admin.actions_list if (name, button) not in LEADS_ON]
    for layer, key in (("installation", "-"), ("organization", acme.pk), ("service", service.pk), ("token", token.pk)):
        pages += [page(f"policies_policy_{name}_here", layer, key) for name in ("limits", "rules", "attach")]
    return pages


READ_ONLY = {
    DirectoryGroup,
    Identity,
    RequestRecord,
    AdminEvent,
    BudgetAlert,
    CredentialAlert,
    AlertDelivery,
    OwnedObject,
}

# Buttons that lead on to pages that are in the list already, or below.
LEADS_ON = {
    ("services_service", "issue"),
    ("services_service", "limits"),
    ("services_token", "limits"),
    ("orgs_organization", "limits"),
    ("policies_policy", "installation"),
    ("orgs_membership", "invite"),
}


def test_every_page_opens_and_shows_no_secret(
    console: Client, every_page: list[str], credential: Credential, owner: User
) -> None:
    sealed = bytes(credential.sealed_secret or b"")
    for url in every_page:
        response = console.get(url)
        assert response.status_code == 200, url
        html = response.content.decode()
        assert SECRET not in html, url
        assert SECRET[:-4] not in html, url
        assert str(sealed) not in html, url
        assert sealed.hex() not in html, url
        assert owner.password not in html, url


def test_nobody_gets_in_without_signing_in(every_page: list[str]) -> None:
    for url in every_page:
        response = Client().get(url)
        assert response.status_code == 302, url
        assert response["Location"].startswith(page("login")), url


def test_who_may_not_open_the_console_does_not_get_in(db: None, every_page: list[str]) -> None:
    client = Client()
    client.force_login(User.objects.create_user("visitor@acme.test", PASSWORD))
    for url in every_page:
        assert client.get(url).status_code == 302, url


def test_pages_forbid_what_this_server_did_not_send(console: Client) -> None:
    response = console.get(page("index"))
    policy = response["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "script-src 'self' 'unsafe-eval'" in policy
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"
    assert b"<script>" not in response.content


# --- Signing in ---


def test_a_link_says_whose_it_is_and_signs_in_on_the_button_only(owner: User, actor: Actor) -> None:
    path = sign_in_link_issue(user=owner, actor=actor)
    client = Client()

    shown = client.get(path)
    assert shown.status_code == 200
    assert owner.email in shown.content.decode()
    assert client.get(page("index")).status_code == 302

    signed_in = client.post(path)
    assert signed_in["Location"] == page("index")
    assert client.get(page("index")).status_code == 200


def test_a_link_that_was_used_or_never_was_says_what_to_do(owner: User, actor: Actor) -> None:
    path = sign_in_link_issue(user=owner, actor=actor)
    Client().post(path)

    for url in (path, "/sign-in/nothing-of-ours/"):
        for response in (Client().get(url), Client().post(url)):
            assert response.status_code == 410
            assert "manage.py sign_in_link" in response.content.decode()


def test_too_many_attempts_are_answered_with_when_to_come_back(db: None) -> None:
    codes = [Client().post("/sign-in/guess/").status_code for _ in range(20)]
    assert set(codes) == {410}

    response = Client().post("/sign-in/guess/")
    assert response.status_code == 429
    assert 1 <= int(response["Retry-After"]) <= 60


# --- Writing ---


def test_a_token_is_issued_shown_once_and_never_again(console: Client, service: Service, owner: User) -> None:
    form = {"service": service.pk, "name": "production", "lifetime": "90", "scopes": ["models"]}
    response = console.post(page("services_token_add"), form, REMOTE_ADDR="192.0.2.9")

    token = Token.objects.get(service=service)
    html = response.content.decode()
    assert "no-store" in response["Cache-Control"]
    plaintext = next(word for word in html.replace("<", " ").replace(">", " ").split() if word.startswith("tg_live_"))
    assert plaintext.endswith(token.hint)
    assert token.expires_at is not None
    assert abs(token.expires_at - now() - timedelta(days=90)) < timedelta(minutes=5)
    [event] = events("token.issued")
    assert (event.door, event.actor_id, event.address) == ("admin", owner.pk, "192.0.2.9")
    for url in (page("services_token_change", token.pk), page("services_token_changelist"), page("index")):
        assert plaintext not in console.get(url).content.decode()
    assert plaintext not in str(dict(console.session))


def test_what_an_action_refuses_shows_at_its_field(console: Client, acme: Organization) -> None:
    form = {
        "provider": "openai",
        "label": "x",
        "organization": str(acme.pk),
        "base_url": "https://10.0.0.1/v1",
        "secret": SECRET,
        "priority": "100",
    }
    response = console.post(page("providers_credential_add"), form)

    assert response.status_code == 200
    assert "EGRESS_ALLOW" in response.context["adminform"].form.errors["base_url"][0]
    assert SECRET not in response.content.decode()
    assert not Credential.objects.filter(label="x").exists()


def test_a_credential_is_added_then_tested_with_a_live_call(
    console: Client, acme: Organization, upstream: FakeProvider, loopback: None
) -> None:
    upstream.answers({"data": [{"id": "llama-4"}]})
    form = {
        "provider": "openai_compatible",
        "label": "x",
        "organization": str(acme.pk),
        "base_url": f"{upstream.url}/v1",
        "secret": SECRET,
        "priority": "100",
    }
    added = console.post(page("providers_credential_add"), form)
    credential = Credential.objects.get(label="x")
    assert added["Location"] == page("providers_credential_test", credential.pk)
    assert upstream.requests == []

    tested = console.post(added["Location"]).content.decode()
    assert "It works." in tested
    assert "llama-4" in tested
    assert SECRET not in tested


def test_a_moved_base_url_without_its_secret_is_refused_at_the_secret(console: Client, credential: Credential) -> None:
    form = {"label": "main", "base_url": "http://127.0.0.1:9/v1", "secret": "", "api_version": "", "priority": "100"}
    response = console.post(page("providers_credential_change", credential.pk), form)

    assert "enter the secret again" in response.context["adminform"].form.errors["secret"][0]
    credential.refresh_from_db()
    assert credential.base_url.endswith("/v1")
    assert credential.secret() == SECRET


def test_a_secret_is_rotated(console: Client, credential: Credential) -> None:
    url = page("providers_credential_rotate", credential.pk)
    assert "paste it again" in console.post(url, {"secret": "with space"}).content.decode()
    assert console.post(url, {"secret": "sk-rotated-abcd9876"}).status_code == 302

    credential.refresh_from_db()
    assert credential.secret() == "sk-rotated-abcd9876"


def test_looking_at_a_button_changes_nothing(console: Client, every_page: list[str], token: Token) -> None:
    before = AdminEvent.objects.count()
    for url in every_page:
        console.get(url)
    assert AdminEvent.objects.count() == before


def test_a_button_says_what_it_did_or_that_it_was_done_already(
    console: Client, token: Token, acme: Organization
) -> None:
    done, again = (console.post(page("services_token_revoke", token.pk), follow=True) for _time in range(2))
    assert escape(f"{token} is revoked.") in done.content.decode()
    assert escape(f"{token} was revoked already.") in again.content.decode()

    budget = budget_create(
        organization=acme, subject=Subject("organization"), window="month", limit_usd=Decimal(5), actor=ACTOR
    )
    gone = console.post(page("policies_budget_delete_budget", budget.pk))
    assert gone["Location"] == page("policies_budget_changelist")  # there is no page of its own any more
    assert console.post(page("policies_budget_delete_budget", budget.pk)).status_code == 404


def test_a_token_is_revoked_by_its_button_and_in_bulk(
    console: Client, token: Token, service: Service, actor: Actor
) -> None:
    assert console.post(page("services_token_revoke", token.pk)).status_code == 302
    other, _ = token_issue(service=service, name="other", actor=actor)
    form = {"action": "revoke_selected", "_selected_action": [str(token.pk), str(other.pk)]}
    response = console.post(page("services_token_changelist"), form, follow=True)

    assert "Revoked 1 of 2; the rest already were." in response.content.decode()
    assert not Token.objects.filter(service=service, revoked_at=None).exists()


def test_a_new_user_without_a_password_comes_with_a_link(console: Client, acme: Organization) -> None:
    form = {"email": "new@acme.test", "name": "New", "organization": str(acme.pk), "role": "admin", "password": ""}
    html = console.post(page("orgs_user_add"), form).content.decode()

    path = "/sign-in/" + html.split("/sign-in/")[1].split("<")[0].strip()
    assert Client().post(path).status_code == 302
    assert Membership.objects.get(user__email="new@acme.test").role == "admin"


def test_models_are_disabled_in_bulk_and_keep_their_names(console: Client, db: None) -> None:
    model = ProviderModel.objects.get(name="sandbox-chat")
    form = {"action": "disable_selected", "_selected_action": [str(model.pk)]}
    console.post(page("providers_providermodel_changelist"), form)
    model.refresh_from_db()
    assert not model.enabled

    removed = console.post(page("providers_providermodel_remove", model.pk))
    assert "disable it instead" in removed.content.decode()


def test_records_and_events_can_be_neither_added_changed_nor_deleted(console: Client, record: RequestRecord) -> None:
    event = AdminEvent.objects.order_by("id")[:1].get()
    for name, row in (("audit_requestrecord", record), ("audit_adminevent", event)):
        assert console.get(page(f"{name}_add")).status_code == 403
        assert console.post(page(f"{name}_delete", row.pk), {"post": "yes"}).status_code == 403
        console.post(page(f"{name}_change", row.pk), {"status": "200", "action": "forged"})
        row.refresh_from_db()
    assert record.status == 504


def test_nothing_that_a_record_may_name_is_deleted(console: Client, token: Token, credential: Credential) -> None:
    for name, row in (
        ("services_token", token),
        ("services_service", token.service),
        ("providers_credential", credential),
    ):
        assert console.post(page(f"{name}_delete", row.pk), {"post": "yes"}).status_code == 403


def test_djangos_own_log_stays_empty_and_history_leads_to_the_events(console: Client, service: Service) -> None:
    console.post(page("services_service_change", service.pk), {"name": "Renamed"})

    service.refresh_from_db()
    assert service.name == "Renamed"
    assert not LogEntry.objects.exists()
    history = console.get(page("services_service_history", service.pk), follow=True).content.decode()
    assert "service.updated" in history


# --- Reading ---


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", True),
        ("when=1h", True),
        ("outcome=failed", True),
        ("outcome=error", True),
        ("outcome=ok", False),
        ("outcome=limited", False),
        ("model=gpt-6-sol", True),
        ("model=other", False),
        ("q=user-7", True),
        ("q=user", False),
        ("q=req_", False),
    ],
)
def test_the_record_answers_questions(console: Client, record: RequestRecord, query: str, found: bool) -> None:
    response = console.get(f"{page('audit_requestrecord_changelist')}?{query}")
    shown = [row.pk for row in response.context["cl"].result_list]
    assert (record.pk in shown) == found


def test_a_request_is_found_by_the_id_that_the_client_saw(console: Client, record: RequestRecord) -> None:
    response = console.get(f"{page('audit_requestrecord_changelist')}?q={request_id(record.pk)}")
    assert [row.pk for row in response.context["cl"].result_list] == [record.pk]


def test_the_lists_of_the_record_count_nothing_and_ask_no_question_per_row(
    console: Client, record: RequestRecord
) -> None:
    url = page("audit_requestrecord_changelist")
    with CaptureQueriesContext(
        connection,
    ) as one:
        console.get(url)
    RequestRecord.objects.bulk_create(_copy(record) for _ in range(30))
    with CaptureQueriesContext(connection) as many:
        console.get(url)

    assert len(many) == len(one)
    assert not any("COUNT(" in query["sql"] for query in many.captured_queries)


def test_a_record_whose_references_are_gone_still_opens(console: Client, record: RequestRecord) -> None:
    record.pk, record.service_id, record.token_id = uuid7(), uuid7(), uuid7()
    record.save(force_insert=True)
    response = console.get(page("audit_requestrecord_change", record.pk))
    assert response.status_code == 200
    assert "(gone)" in response.content.decode()
    assert console.get(page("audit_requestrecord_changelist")).status_code == 200


def test_the_first_page_shows_the_first_steps_and_then_the_last_day(
    console: Client, service: Service, request: pytest.FixtureRequest
) -> None:
    if not RequestRecord.objects.exists():
        assert "Three steps to the first answer" in console.get(page("index")).content.decode()
    request.getfixturevalue("record")
    html = console.get(page("index")).content.decode()
    assert "Requests, last 24 h" in html
    assert "gpt-6-sol" in html
    assert service.name in html


def _copy(record: RequestRecord) -> RequestRecord:
    copied = RequestRecord(**{field.attname: getattr(record, field.attname) for field in record._meta.concrete_fields})
    copied.pk = UUID(int=uuid7().int)
    return copied
