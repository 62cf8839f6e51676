"""The console for an organization's people: their own organization alone, and of it what their role may."""

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from apps.core.console import ConsoleAdmin
from apps.orgs.models import Membership, Organization, Role, User
from apps.orgs.roles import PERMISSIONS
from apps.orgs.sso.models import Identity
from tests.members.conftest import Rows
from tests.support.tenancies import IMPLEMENTATIONS

ROLES = list(Role)


def page(name: str, *args: Any) -> str:
    return reverse(f"admin:{name}", args=args)


def pages() -> dict[str, ConsoleAdmin]:
    return {f"{model._meta.app_label}_{model._meta.model_name}": each for model, each in admin.site._registry.items()}


def with_people(rows: Rows, organization: Organization) -> Rows:
    membership = Membership.objects.filter(organization=organization).first()
    assert membership is not None
    identity = Identity.objects.create(
        user=membership.user, issuer="https://id.test", subject=organization.slug, email=membership.user.email
    )
    return {**rows, "orgs_membership": membership, "orgs_user": membership.user, "sso_identity": identity}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_opens_what_it_may_read_and_nothing_else(
    signed_in: Any, acme: Organization, acmes: Rows, role: Role
) -> None:
    client: Client = signed_in(role)
    rows = with_people(acmes, acme)
    assert set(rows) == set(pages()), "a page is missing here"
    for name, each in pages().items():
        allowed = each.permission_read in PERMISSIONS[role]
        for url in (page(f"{name}_changelist"), page(f"{name}_change", rows[name].pk)):
            response = client.get(url)
            assert response.status_code == (200 if allowed else 403), (url, response.status_code)
            assert "never-to-be-seen" not in response.content.decode(), url
    assert client.get(page("index")).status_code == 200


@pytest.mark.parametrize("role", ROLES)
def test_each_role_adds_and_presses_what_it_may_write_and_nothing_else(
    signed_in: Any, acme: Organization, acmes: Rows, role: Role
) -> None:
    client: Client = signed_in(role)
    rows = with_people(acmes, acme)
    staffs = {"orgs_organization", "orgs_user", "orgs_membership", "scim_directorygroup"}
    for name, each in pages().items():
        writes = bool(each.permission_write) and each.permission_write in PERMISSIONS[role]
        adds = client.get(page(f"{name}_add")).status_code
        assert adds == (200 if writes and name not in staffs else 403), (name, adds)
        buttons = [page(f"{name}_{button}", rows[name].pk) for button in each.actions_detail]
        for url in buttons:
            kind = url.rstrip("/").rsplit("/", 1)[1]
            response = client.get(url)
            reads = each.permission_read in PERMISSIONS[role]
            if kind in {"suspend", "resume"}:
                expected = {403}
            elif kind == "issue":
                expected = {302} if "tokens.write" in PERMISSIONS[role] else {403}
            elif kind == "limits":
                expected = {302} if reads and "policies.read" in PERMISSIONS[role] else {403}
            elif kind == "preview":
                expected = {200} if reads else {403}
            else:
                expected = {200} if writes else {403}
            assert response.status_code in expected, (url, response.status_code)


@pytest.mark.parametrize(
    ("role", "tenancy"), [(role, "single") for role in ROLES] + [(Role.OWNER, name) for name in IMPLEMENTATIONS[1:]]
)
def test_another_organizations_rows_are_not_found_and_named_nowhere(
    signed_in: Any,
    acme: Organization,
    zeta: Organization,
    acmes: Rows,
    zetas: Rows,
    person: Any,
    role: Role,
    tenancy: str,
    settings: Any,
) -> None:
    settings.TENANCY = tenancy
    client: Client = signed_in(role)
    person(zeta, "owner")
    rows = with_people(zetas, zeta)
    for name, each in pages().items():
        urls = [page(f"{name}_change", rows[name].pk), page(f"{name}_history", rows[name].pk)]
        urls += [page(f"{name}_{button}", rows[name].pk) for button in each.actions_detail]
        if each.permission_read in PERMISSIONS[role]:
            listed = client.get(page(f"{name}_changelist")).content.decode().lower()
            assert "zeta" not in listed, name
            for url in urls:
                for response in (client.get(url, follow=True), client.post(url, follow=True)):
                    assert response.status_code in {403, 404} or "history" in url, (url, response.status_code)
                    assert "zeta" not in response.content.decode().lower().replace(str(url).lower(), ""), url
            assert client.get(urls[0]).status_code == 404, urls[0]
    for layer, row in (
        ("organization", zeta),
        ("service", zetas["services_service"]),
        ("token", zetas["services_token"]),
    ):
        for kind in ("limits", "rules", "attach", "detach"):
            url = page(f"policies_policy_{kind}_here", layer, row.pk)
            assert client.get(url).status_code in {403, 404}, url
    assert "zeta" not in client.get(page("index")).content.decode().lower()


def test_where_there_is_one_organization_it_is_neither_column_nor_filter_nor_field(
    signed_in: Any, acme: Organization, acmes: Rows
) -> None:
    client: Client = signed_in("admin")
    for name in pages():
        if name in {"orgs_user", "orgs_organization"}:
            continue
        html = client.get(page(f"{name}_changelist")).content.decode()
        assert "column-organization" not in html, name
        assert 'name="organization__id__exact"' not in html, name
        assert 'name="organization"' not in client.get(page(f"{name}_add")).content.decode(), name


def test_what_is_added_belongs_to_ones_own_organization_whatever_is_sent(
    signed_in: Any, acme: Organization, zeta: Organization
) -> None:
    from apps.policies.models import Policy
    from apps.providers.models import Alias
    from apps.services.models import Service

    client: Client = signed_in("admin")
    for sent in ({}, {"organization": ""}, {"organization": str(zeta.pk)}):
        Service.objects.all().delete()
        client.post(page("services_service_add"), {"name": "Chat", **sent})
        assert Service.objects.get().organization == acme
    client.post(page("policies_policy_add"), {"name": "careful", "organization": ""})
    assert Policy.objects.get(name="careful").organization == acme
    client.post(
        page("providers_alias_add"),
        {"name": "fast", "strategy": "order", "targets": "sandbox-chat", "organization": ""},
    )
    assert [alias.organization for alias in Alias.objects.all()] == [acme] * Alias.objects.count()


def test_what_is_offered_to_all_is_seen_and_not_changed(signed_in: Any, acme: Organization) -> None:
    from apps.providers.actions import credential_add, model_add
    from apps.providers.models import Credential
    from tests.invitations.conftest import COMMAND

    hosted = credential_add(
        organization=None, provider="openai", label="hosted account", secret="sk-never-to-be-seen-1234", actor=COMMAND
    )
    model = model_add(organization=None, provider="openai", name="hosted-model", credential=hosted, actor=COMMAND)
    client: Client = signed_in("owner")
    for name, row in (("providers_credential", hosted), ("providers_providermodel", model)):
        listed = client.get(page(f"{name}_changelist") + "?q=hosted").content.decode()
        assert getattr(row, "label", getattr(row, "name", "")) in listed
        shown = client.get(page(f"{name}_change", row.pk))
        assert shown.status_code == 200
        assert (
            'type="submit"' not in shown.content.decode().split("content-main")[-1]
            or "_save" not in shown.content.decode()
        )
        assert client.post(page(f"{name}_change", row.pk), {"label": "mine", "name": "mine"}).status_code == 403
    for button in ("test", "rotate", "import_models", "drain", "disable"):
        url = page(f"providers_credential_{button}", hosted.pk)
        assert client.get(url).status_code == 403, url
        assert client.post(url, {"secret": "sk-another-0123456789"}).status_code == 403, url
    client.post(
        page("providers_providermodel_changelist"), {"action": "disable_selected", "_selected_action": [str(model.pk)]}
    )
    model.refresh_from_db()
    assert model.enabled
    assert Credential.objects.get(pk=hosted.pk).enabled


def test_rules_for_all_are_platform_staffs(signed_in: Any, acme: Organization, acmes: Rows) -> None:
    client: Client = signed_in("owner")
    for kind in ("rules", "attach", "detach"):
        url = page(f"policies_policy_{kind}_here", "installation", "-")
        assert client.get(url).status_code == 403
        assert client.post(url, {"requests_per_minute": "0"}).status_code == 403
    url = page("policies_policy_attach", acmes["policies_policy"].pk)
    client.post(url, {"layer": "installation"})
    from apps.policies.models import Attachment

    assert not Attachment.objects.filter(layer="installation").exists()


def test_switches_let_members_manage_services_and_tokens(signed_in: Any, acme: Organization) -> None:
    from apps.services.models import Service

    client: Client = signed_in("member")
    assert client.post(page("services_service_add"), {"name": "Chat"}).status_code == 403
    Organization.objects.filter(pk=acme.pk).update(members_manage_services=True)
    assert client.post(page("services_service_add"), {"name": "Chat"}).status_code == 302
    service = Service.objects.get(organization=acme)
    token = {"service": str(service.pk), "name": "t", "lifetime": "7"}
    assert client.post(page("services_token_add"), token).status_code == 403
    Organization.objects.filter(pk=acme.pk).update(members_manage_tokens=True)
    assert "tg_live_" in client.post(page("services_token_add"), token).content.decode()


def test_who_is_made_less_may_less_at_once(signed_in: Any, acme: Organization) -> None:
    client: Client = signed_in("admin")
    assert client.get(page("services_service_add")).status_code == 200
    Membership.objects.update(role="auditor")
    assert client.get(page("services_service_add")).status_code == 403
    Membership.objects.all().delete()
    assert client.get(page("services_service_changelist")).status_code == 403


def test_the_menu_offers_what_can_be_opened(signed_in: Any, acme: Organization, acmes: Rows) -> None:
    for role in ROLES:
        html = signed_in(role).get(page("index")).content.decode()
        for name, each in pages().items():
            offered = f'href="{page(f"{name}_changelist")}"' in html
            assert offered == (each.permission_read in PERMISSIONS[role]), (role, name)
        User.objects.all().delete()


def test_of_a_hosted_account_organizations_see_that_it_is_there_and_no_more(signed_in: Any, acme: Organization) -> None:
    import time

    from apps.core.stores import store
    from apps.providers.actions import credential_add
    from apps.providers.health.shared import SHUT, Shut, written
    from tests.invitations.conftest import COMMAND

    hosted = credential_add(
        organization=None,
        provider="azure_openai",
        label="shared account",
        base_url="https://the-house.openai.azure.com",
        secret="sk-never-to-be-seen-wxyz",
        actor=COMMAND,
    )
    soon = time.time() + 60
    shut = Shut(
        credential=hosted.pk.hex,
        model="asked-by-others",
        until=soon,
        cooldown=60,
        reason="failing",
        code="upstream_error",
        version=0,
        at=soon - 60,
    )
    store().hset(SHUT, shut.field, written(shut))
    listed, one = page("providers_credential_changelist"), page("providers_credential_change", hosted.pk)
    browsers = {"owner": signed_in("owner"), "staff": Client()}
    browsers["staff"].force_login(User.objects.create_superuser("staff@installation.test"))
    for who, browser in browsers.items():
        seen = "".join(browser.get(url).content.decode() for url in (listed, one))
        for word in ("the-house", "wxyz", "How it fares", "asked-by-others"):
            assert (word in seen) == (who == "staff"), (who, word)
        assert "shared account" in seen
        found = browser.get(f"{listed}?q=the-house").content.decode()
        assert ("shared account" in found) == (who == "staff")


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("keys/managementkey/?digest=a", 400),
        ("services/token/?digest__startswith=a", 400),
        ("providers/credential/?sealed_secret__isnull=0", 400),
        ("services/token/?created_by__password__startswith=a", 400),
        ("audit/requestrecord/?model=%00", 400),
        ("audit/adminevent/?q=%00", 400),
        ("services/token/?state=live", 200),
        ("providers/price/?provider=openai&rows=all&q=gpt", 200),
        ("policies/budget/?enabled__exact=1", 200),
        ("providers/credential/?drained_at__isempty=1", 200),
    ],
)
def test_lists_are_asked_by_their_filters_alone(signed_in: Any, acmes: Rows, url: str, status: int) -> None:
    assert signed_in("owner").get(f"/admin/{url}").status_code == status
