"""Settings of single sign-on: how they are written, what contradicts what, and the command that tries them."""

import io
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from apps.orgs.sso.configuration import domain_is_allowed, group_roles
from tests.sso.conftest import configure
from tests.sso.provider import IdentityProvider


@pytest.mark.parametrize(
    ("raw", "roles"),
    [
        ("", {}),
        ("ops=admin, finance = billing", {"ops": "admin", "finance": "billing"}),
        ("ops=zeta/admin", {"ops": "zeta/admin"}),
        ("a=b=member", {"a=b": "member"}),
        ('{"cn=ops,ou=groups": "admin"}', {"cn=ops,ou=groups": "admin"}),
    ],
)
def test_groups_are_mapped_in_pairs_or_as_json(raw: str, roles: dict[str, str]):
    assert group_roles(raw) == roles


@pytest.mark.parametrize("raw", ["ops", "=admin", "ops=", "a=member,a=admin", '{"a": 1}', '{"a"', '["a"]'])
def test_what_maps_nothing_is_refused(raw: str):
    with pytest.raises(ValueError):
        group_roles(raw)


@pytest.mark.parametrize(
    ("allowed", "email", "is_allowed"),
    [
        ([], "ana@anywhere.example", True),
        (["*"], "ana@anywhere.example", True),
        (["acme.test"], "ana@ACME.test", True),
        (["@Acme.test"], "ana@acme.test", True),
        (["acme.test"], "ana@mail.acme.test", False),
        (["acme.test"], "ana@xacme.test", False),
    ],
)
def test_domains_are_whole_and_of_any_case(settings: Any, allowed: list[str], email: str, is_allowed: bool):
    settings.OIDC_ALLOWED_DOMAINS = allowed

    assert domain_is_allowed(email) is is_allowed


@pytest.mark.parametrize(
    ("changed", "number"),
    [
        ({"OIDC_ISSUER": "login.acme.test"}, 1),
        ({"OIDC_ISSUER": "http://login.acme.test", "EGRESS_ALLOW": ()}, 1),
        ({"OIDC_CLIENT_ID": ""}, 2),
        ({"OIDC_SCOPES": "openid profile"}, 3),
        ({"OIDC_GROUP_ROLES": {"ops": "zeta/boss"}}, 4),
        ({"OIDC_ALLOWED_DOMAINS": []}, 5),
        ({"OIDC_TRUST_EMAILS": True, "OIDC_ALLOWED_DOMAINS": ["*"]}, 6),
    ],
)
def test_settings_that_contradict_each_other_are_told(settings: Any, changed: dict[str, Any], number: int):
    from apps.orgs.sso.checks import check_settings

    configure(settings, "https://login.acme.test")
    assert check_settings() == []

    for name, value in changed.items():
        setattr(settings, name, value)

    assert [error.id for error in check_settings()] == [f"sso.E00{number}"]
    with pytest.raises(CommandError):
        call_command("check_sso")


def test_the_command_says_what_to_register_and_what_the_provider_says(idp: IdentityProvider):
    out = io.StringIO()

    call_command("check_sso", stdout=out)

    assert "http://testserver/sso/callback/" in out.getvalue()
    assert f"1 at {idp.issuer}/keys" in out.getvalue()


def test_the_command_says_what_is_wrong(idp: IdentityProvider, settings: Any):
    idp.published = []
    with pytest.raises(CommandError, match="RS256"):
        call_command("check_sso", stdout=io.StringIO())
    idp.discovery = {"issuer": "https://accounts.example"}
    with pytest.raises(CommandError, match=r"it calls itself 'https://accounts.example'.*provider_discovery"):
        call_command("check_sso")
    idp.stop()
    with pytest.raises(CommandError, match=r"no connection to 127.0.0.1: nothing answers there"):
        call_command("check_sso")
    settings.OIDC_ISSUER = ""
    with pytest.raises(CommandError, match="There is no single sign-on"):
        call_command("check_sso")
