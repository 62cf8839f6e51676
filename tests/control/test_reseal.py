"""A rotation of SEALING_KEYS: every secret moves to the new key, and none is lost."""

import os
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.core.actor import Actor
from apps.core.sealing import Keyring
from apps.orgs.models import Organization
from apps.orgs.secrets import sealed_models
from apps.policies.actions.webhooks import webhook_add
from apps.providers.actions import credential_add
from apps.providers.models import Credential
from tests.control.conftest import SECRET
from tests.control.recorded import events

OLD, NEW = Keyring.generate("old"), Keyring.generate("new")


@pytest.fixture
def credential(acme: Organization, actor: Actor, settings: Any) -> Credential:
    settings.SEALING_KEYS = Keyring.parse(OLD)
    return credential_add(
        organization=acme, provider="openai", label="main", base_url="https://192.0.2.1/v1", secret=SECRET, actor=actor
    )


@pytest.fixture(autouse=True)
def reachable(settings: Any) -> None:
    from apps.core.env import networks

    settings.EGRESS_ALLOW = networks("192.0.2.0/24")


def test_secrets_open_with_the_new_key_alone_once_resealed(credential: Credential, settings: Any) -> None:
    others = os.environ["SEALING_KEYS"]  # what other tests sealed is in the same database
    settings.SEALING_KEYS = Keyring.parse(f"{NEW},{OLD},{others}")
    call_command("reseal_secrets", stdout=StringIO())

    settings.SEALING_KEYS = Keyring.parse(NEW)
    credential.refresh_from_db()
    assert credential.secret() == SECRET
    resealed = next(event for event in events("credential.resealed") if event.target_id == credential.pk)
    assert resealed.action == "credential.resealed"
    assert SECRET not in str(resealed.after)

    call_command("reseal_secrets", stdout=(again := StringIO()))
    assert again.getvalue() == "Sealed 0 secrets anew.\n"


def test_every_kind_of_secret_is_resealed(
    credential: Credential, acme: Organization, actor: Actor, settings: Any
) -> None:
    webhook, secret = webhook_add(organization=acme, url="https://192.0.2.1/hook", actor=actor)
    assert {type(credential), type(webhook)} <= set(sealed_models())
    settings.SEALING_KEYS = Keyring.parse(f"{NEW},{OLD},{os.environ['SEALING_KEYS']}")
    call_command("reseal_secrets", stdout=StringIO())

    settings.SEALING_KEYS = Keyring.parse(NEW)
    webhook.refresh_from_db()
    assert settings.SEALING_KEYS.open(bytes(webhook.sealed_secret), webhook.secret_place()) == secret


def test_a_secret_that_no_key_opens_is_named_and_left_as_it_is(credential: Credential, settings: Any) -> None:
    settings.SEALING_KEYS = Keyring.parse(NEW)
    with pytest.raises(CommandError, match="main"):
        call_command("reseal_secrets", stdout=StringIO())

    settings.SEALING_KEYS = Keyring.parse(OLD)
    credential.refresh_from_db()
    assert credential.secret() == SECRET
