"""Which domains an organization may name, so that their people join by themselves, and through which doors."""

from importlib import import_module
from typing import Any

import pytest
import yaml
from allauth.account.models import EmailAddress
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connection, transaction
from django.test import Client

from apps.core.actor import Actor
from apps.core.tenancy import DOOR, NOBODY, member_scope, scoped
from apps.orgs.actions import member_add, member_remove, organization_update, user_create
from apps.orgs.domains import check_domain, plain_address
from apps.orgs.keys.actions import key_issue
from apps.orgs.models import FormerMember, Membership, Organization, Role, SignUpDomain, User
from apps.orgs.scim.actions import (
    Account,
    directory_user_create,
    directory_user_update,
)
from apps.orgs.signup.actions import sign_up_domains_set
from apps.orgs.signup.selectors import organization_offered
from tests.control.conftest import Run
from tests.control.recorded import events

COMMAND = Actor.system("command")
DIRECTORY = Actor(door="api", label="Okta")


def person(organization: Organization, email: str, role: Role = Role.OWNER, *, verified: bool = True) -> User:
    user = user_create(email=email, password=None, actor=COMMAND, email_verified=verified)
    member_add(organization=organization, user=user, role=role, actor=COMMAND)
    return user


def as_actor(user: User) -> Actor:
    return Actor(door="admin", label=user.email, user_id=user.pk, address="192.0.2.7")


def named(organization: Organization) -> list[str]:
    return [each.domain for each in SignUpDomain.objects.filter(organization=organization)]


# --- Which ---


@pytest.mark.parametrize(
    "domain", ["acme.com", "mail.acme.co.uk", "xn--bcher-kva.de", "acme.xn--p1ai", "live.acme.com"]
)
def test_a_companys_domain_may_be_named(domain: str) -> None:
    check_domain(domain)


@pytest.mark.parametrize(
    "domain", ["gmail.com", "outlook.com", "hotmail.fr", "yahoo.co.uk", "gmx.de", "proton.me", "qq.com", "icloud.com"]
)
def test_a_public_mail_providers_is_refused_with_the_remedy(acme: Organization, domain: str) -> None:
    with pytest.raises(ValidationError) as refused:
        sign_up_domains_set(organization=acme, domains=[domain], actor=COMMAND)
    assert "invite people with other addresses" in refused.value.message_dict["sign_up_domains"][0]
    assert named(acme) == []


@pytest.mark.parametrize(
    "domain",
    ["com", "acme", "acme.com.", "*.acme.com", "ana@acme.com", "10.0.0.1", "bücher.de", "-a.com", "a..com", "a b.com"],
)
def test_what_is_no_domain_is_refused(acme: Organization, domain: str) -> None:
    with pytest.raises(ValidationError, match="is no domain"):
        sign_up_domains_set(organization=acme, domains=[domain, "acme.com"], actor=COMMAND)
    assert named(acme) == [], "nothing of it is saved"


def test_domains_are_kept_in_one_form_and_replaced_as_a_whole(acme: Organization) -> None:
    assert sign_up_domains_set(organization=acme, domains=[" @Acme.com", "acme.com", "acme.de"], actor=COMMAND)
    assert named(acme) == ["acme.com", "acme.de"]
    assert not sign_up_domains_set(organization=acme, domains=["acme.de", "ACME.com"], actor=COMMAND)
    assert sign_up_domains_set(organization=acme, domains=["acme.de"], actor=COMMAND)

    assert named(acme) == ["acme.de"]
    assert [(event.before, event.after) for event in events("organization.updated")] == [
        ({"sign_up_domains": []}, {"sign_up_domains": ["acme.com", "acme.de"]}),
        ({"sign_up_domains": ["acme.com", "acme.de"]}, {"sign_up_domains": ["acme.de"]}),
    ]


def test_more_than_twenty_are_refused(acme: Organization) -> None:
    with pytest.raises(ValidationError, match="20 domains at most"):
        sign_up_domains_set(organization=acme, domains=[f"acme{n}.com" for n in range(21)], actor=COMMAND)


@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMIN, "king"])
def test_nobody_becomes_an_owner_or_admin_by_themselves(acme: Organization, role: str) -> None:
    with pytest.raises(ValidationError) as refused:
        organization_update(organization=acme, sign_up_role=role, actor=COMMAND)
    assert "sign_up_role" in refused.value.message_dict
    with pytest.raises(DatabaseError, match="orgs_organization_sign_up_role"), transaction.atomic():
        Organization.objects.update(sign_up_role=role)


# --- Whose ---


def test_an_owner_names_the_domain_of_their_own_verified_e_mail(acme: Organization) -> None:
    owner = person(acme, "ana@acme.test")
    assert sign_up_domains_set(organization=acme, domains=["acme.test"], actor=as_actor(owner))
    with pytest.raises(ValidationError, match=r"verified e-mail at else\.test"):
        sign_up_domains_set(organization=acme, domains=["acme.test", "else.test"], actor=as_actor(owner))
    assert named(acme) == ["acme.test"]


def test_an_e_mail_that_nobody_verified_names_nothing(acme: Organization) -> None:
    owner = person(acme, "ana@victim.test", verified=False)
    with pytest.raises(ValidationError, match="verified e-mail"):
        sign_up_domains_set(organization=acme, domains=["victim.test"], actor=as_actor(owner))


def test_an_organizations_key_names_none_and_takes_back_any(acme: Organization) -> None:
    key = Actor(door="api", label="ci (tg_admin_…abcd)")
    with pytest.raises(ValidationError, match="verified e-mail"):
        sign_up_domains_set(organization=acme, domains=["acme.test"], actor=key)
    sign_up_domains_set(organization=acme, domains=["acme.test", "acme.de"], actor=COMMAND)

    assert sign_up_domains_set(organization=acme, domains=["acme.de"], actor=key)
    assert named(acme) == ["acme.de"]


def test_platform_staff_and_who_they_vouch_for_name_any(acme: Organization) -> None:
    staff = user_create(email="staff@run.test", password=None, actor=COMMAND, is_platform_staff=True)
    assert sign_up_domains_set(organization=acme, domains=["acme.test"], actor=as_actor(staff))
    key = Actor(door="api", label="installation (tg_admin_…abcd)")
    assert sign_up_domains_set(organization=acme, domains=["acme.test", "acme.de"], actor=key, vouched=True)


def test_a_domain_is_one_organizations_and_who_asks_sees_no_other(acme: Organization, zeta: Organization) -> None:
    owner = person(zeta, "zoe@acme.test")
    sign_up_domains_set(organization=acme, domains=["acme.test"], actor=COMMAND)

    with scoped(member_scope(zeta.pk, owner.pk)), pytest.raises(ValidationError) as refused:
        sign_up_domains_set(organization=zeta, domains=["acme.test"], actor=as_actor(owner))

    assert refused.value.message_dict["sign_up_domains"] == [
        "acme.test is another organization's here: ask those who run the installation."
    ]
    assert (named(acme), named(zeta)) == (["acme.test"], [])


def test_the_database_shows_and_writes_ones_own_alone(acme: Organization, zeta: Organization) -> None:
    sign_up_domains_set(organization=acme, domains=["acme.test"], actor=COMMAND)
    ana = person(acme, "ana@acme.test", Role.MEMBER)
    member_remove(membership=Membership.objects.get(user=ana), actor=COMMAND)
    for model in (SignUpDomain, FormerMember):
        with scoped(member_scope(zeta.pk, None)):
            assert not model._default_manager.exists()
        with scoped(member_scope(acme.pk, None)):
            assert model._default_manager.count() == 1
        with scoped(NOBODY):
            assert not model._default_manager.exists()
    with scoped(member_scope(zeta.pk, None)), pytest.raises(DatabaseError, match="row-level"), transaction.atomic():
        SignUpDomain.objects.create(organization=acme, domain="smuggled.test")
    for scope in (DOOR, member_scope(acme.pk, None)):
        with scoped(scope), pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            FormerMember.objects.update(address="somebody@else.test")


# --- Who is kept out ---


def test_whom_the_directory_deactivates_the_domain_does_not_bring_back(acme: Organization, zeta: Organization) -> None:
    sign_up_domains_set(organization=acme, domains=["acme.test"], actor=COMMAND)
    user = person(zeta, "ana@acme.test", Role.MEMBER)  # so that the account itself stays switched on
    assert organization_offered(user) == acme
    directory_user_create(organization=acme, account=Account(email=user.email, active=False), actor=DIRECTORY)
    user.refresh_from_db()
    assert user.is_active
    assert organization_offered(user) is None, "made as one who is not active"

    directory_user_update(organization=acme, user=user, account=Account(active=True), actor=DIRECTORY)
    directory_user_update(organization=acme, user=user, account=Account(active=False), actor=DIRECTORY)
    assert not Membership.objects.filter(organization=acme).exists()
    assert organization_offered(user) is None


def test_an_account_that_another_directory_has_made_is_offered_nothing(acme: Organization, zeta: Organization) -> None:
    """Else an organization's directory could rename an account of its own into another organization's domain."""
    sign_up_domains_set(organization=acme, domains=["acme.test"], actor=COMMAND)
    known = directory_user_create(organization=zeta, account=Account(email="eve@zeta.test"), actor=DIRECTORY)
    directory_user_update(organization=zeta, user=known.user, account=Account(email="eve@acme.test"), actor=DIRECTORY)

    eve = User.objects.get(email="eve@acme.test")
    assert EmailAddress.objects.get(user=eve).verified
    assert organization_offered(eve) is None


def test_who_was_removed_before_this_release_is_known_by_the_admin_events(acme: Organization) -> None:
    user = person(acme, "ana+news@acme.test", Role.MEMBER)
    member_remove(membership=Membership.objects.get(user=user), actor=COMMAND)
    FormerMember.objects.all().delete()

    with connection.cursor() as cursor:
        cursor.execute(import_module("apps.orgs.migrations.0005_sign_up")._FORMER)

    found = FormerMember.objects.get()
    assert (found.organization, found.user, found.address) == (acme, user, plain_address(user.email))


# --- Through which doors ---


def in_the_console(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_the_console_shows_and_sets_them(acme: Organization) -> None:
    client = in_the_console(person(acme, "ana@acme.test"))
    url = f"/admin/orgs/organization/{acme.pk}/change/"
    form = {"name": "Acme", "slug": "acme", "timezone": "UTC", "sign_up_role": "billing"}

    refused = client.post(url, {**form, "sign_up_domains": "acme.test\r\ngmail.com"})
    assert "Anybody gets an address at gmail.com" in refused.content.decode()
    assert named(acme) == []
    assert client.post(url, {**form, "sign_up_domains": "acme.test\r\n"}).status_code == 302

    acme.refresh_from_db()
    assert (named(acme), acme.sign_up_role) == (["acme.test"], "billing")
    assert "acme.test</textarea>" in client.get(url).content.decode()
    reader = in_the_console(person(acme, "ben@acme.test", Role.MEMBER))
    assert "acme.test" in reader.get(url).content.decode()
    assert reader.post(url, {**form, "sign_up_domains": ""}).status_code == 403
    assert named(acme) == ["acme.test"]


def test_the_api_shows_and_sets_them(acme: Organization) -> None:
    client = in_the_console(person(acme, "ana@acme.test"))
    url = f"/api/organizations/{acme.pk}"

    def patch(body: Any, **headers: str) -> Any:
        return client.patch(url, body, content_type="application/json", headers=headers)

    assert client.get(url).json()["sign_up_domains"] == []
    changed = patch({"sign_up_domains": ["acme.test"], "sign_up_role": "auditor"}).json()
    assert (changed["sign_up_domains"], changed["sign_up_role"]) == (["acme.test"], "auditor")
    assert patch({"name": "Acme Ltd."}).json()["sign_up_domains"] == ["acme.test"], "what is left out stays"
    for body, field in (
        ({"sign_up_domains": ["acme.test", "else.test"]}, "sign_up_domains"),
        ({"sign_up_domains": "acme.test"}, "sign_up_domains"),
        ({"sign_up_domains": None}, "sign_up_domains"),
        ({"name": "Other", "sign_up_domains": ["gmail.com"]}, "sign_up_domains"),
        ({"sign_up_role": "admin"}, "sign_up_role"),
    ):
        refused = patch(body)
        assert (refused.status_code, set(refused.json()["error"]["fields"])) == (400, {field}), body
    acme.refresh_from_db()
    assert (acme.name, named(acme)) == ("Acme Ltd.", ["acme.test"]), "nothing is half saved"
    assert client.get("/api/organizations").json()["data"][0]["sign_up_domains"] == ["acme.test"]
    assert patch({"sign_up_domains": []}).json()["sign_up_domains"] == []


def test_a_key_of_the_installation_names_any_over_the_api(acme: Organization) -> None:
    _key, plaintext = key_issue(
        organization=None, name="ops", permissions=["organization.write"], most=["organization.write"], actor=COMMAND
    )
    answer = Client().patch(
        f"/api/organizations/{acme.pk}",
        {"sign_up_domains": ["acme.test"]},
        content_type="application/json",
        headers={"Authorization": f"Bearer {plaintext}"},
    )
    assert (answer.status_code, named(acme)) == (200, ["acme.test"])


def test_a_file_sets_them_leaves_them_and_is_exported(run: Run, acme: Organization, tmp_path: Any) -> None:
    file = tmp_path / "tollgate.yaml"

    def apply(**settings: Any) -> Any:
        file.write_text(yaml.safe_dump({"version": 1, "organizations": [{"slug": "acme", **settings}]}))
        return run("apply_config", str(file))

    done = apply(sign_up_domains=["Acme.test", "acme.de"], sign_up_role="billing")
    assert (done.code, named(acme)) == (0, ["acme.de", "acme.test"]), done.err
    assert "1 unchanged" in apply(sign_up_domains=["acme.de", "acme.test"]).out
    assert "1 unchanged" in apply(name="Acme").out
    exported = yaml.safe_load(run("export_config").out)["organizations"][0]
    assert (exported["sign_up_domains"], exported["sign_up_role"]) == (["acme.de", "acme.test"], "billing")
    for settings in ({"sign_up_domains": ["gmail.com"]}, {"sign_up_role": "admin"}):
        refused = apply(**settings)
        assert refused.code == 1
        assert f"organizations[0].{next(iter(settings))}" in refused.err
    assert apply(sign_up_domains=[]).code == 0
    assert named(acme) == []
