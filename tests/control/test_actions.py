"""What actions promise: their rules, their events, and that both happen or neither."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils.timezone import now

from apps.core.actor import Actor
from apps.core.sealing import SealingError
from apps.orgs import actions as orgs
from apps.orgs.models import Membership, Organization, Role, SignInLink, User
from apps.providers import actions as providers
from apps.providers.catalogue import catalogue
from apps.providers.models import Credential, ProviderModel
from apps.services import actions as services
from apps.services.models import Service, Token, TokenState
from apps.services.tokens import token_digest, token_is_well_formed
from tests.control.conftest import SECRET
from tests.control.recorded import events
from tests.support.gateway import eventually
from tests.support.provider import FakeProvider


def refused(error: pytest.ExceptionInfo[ValidationError], field: str) -> str:
    return " ".join(error.value.message_dict[field])


# --- Organizations and people ---


def test_an_organization_is_created_with_its_event(db: None, actor: Actor) -> None:
    organization = orgs.organization_create(name="Acme", slug="acme", actor=actor)

    [event] = events()
    assert (event.action, event.organization_id, event.actor_label) == (
        "organization.created",
        organization.pk,
        "ana@acme.test",
    )
    assert event.door == "api"
    assert event.address == "192.0.2.7"
    assert event.after["slug"] == "acme"


def test_a_refused_organization_leaves_neither_row_nor_event(db: None, actor: Actor) -> None:
    with pytest.raises(ValidationError) as error:
        orgs.organization_create(name="Acme", slug="acme", timezone="Mars/Olympus", actor=actor)

    assert "Europe/Madrid" in refused(error, "timezone")
    assert not Organization.objects.exists()
    assert events() == []


def test_a_slug_is_given_once(acme: Organization, actor: Actor) -> None:
    with pytest.raises(ValidationError) as error:
        orgs.organization_create(name="Other", slug="acme", actor=actor)

    assert "slug" in error.value.message_dict


def test_an_owner_signs_in_by_e_mail_in_lower_case_and_may_open_the_console(acme: Organization, actor: Actor) -> None:
    user = orgs.owner_create(organization=acme, email=" Ana@Acme.Test ", password=None, actor=actor)

    assert user.email == "ana@acme.test"
    assert user.is_staff
    assert not user.has_usable_password()
    assert Membership.objects.get(user=user).role == Role.OWNER
    assert "password" not in events("user.created")[0].after


def test_a_weak_password_is_refused_with_its_reason_and_nothing_remains(acme: Organization, actor: Actor) -> None:
    with pytest.raises(ValidationError) as error:
        orgs.owner_create(organization=acme, email="ana@acme.test", password="short", actor=actor)

    assert "8 characters" in refused(error, "password")
    assert not User.objects.exists()


def test_an_organization_keeps_its_last_owner(acme: Organization, owner: User) -> None:
    actor = Actor.system("command")
    membership = Membership.objects.get(user=owner)

    for attempt in (
        lambda: orgs.member_update(membership=membership, role=Role.MEMBER, actor=actor),
        lambda: orgs.member_remove(membership=membership, actor=actor),
        lambda: orgs.user_update(user=owner, is_active=False, actor=actor),
    ):
        with pytest.raises(ValidationError, match="without an owner"):
            attempt()

    another = orgs.owner_create(organization=acme, email="second@acme.test", password=None, actor=actor)
    orgs.member_update(membership=membership, role=Role.MEMBER, actor=actor)
    assert Membership.objects.get(role=Role.OWNER).user == another


def test_nobody_switches_themselves_off(owner: User) -> None:
    with pytest.raises(ValidationError, match="yourself"):
        orgs.user_update(user=owner, is_active=False, actor=Actor(door="admin", label="x", user_id=owner.pk))


# --- Sign-in links ---


def secret_of(path: str) -> str:
    return path.removeprefix("/sign-in/").rstrip("/")


def test_a_sign_in_link_works_once(owner: User, actor: Actor) -> None:
    secret = secret_of(orgs.sign_in_link_issue(user=owner, actor=actor))

    assert orgs.sign_in_link_use(secret=secret, address="192.0.2.1") == owner
    with pytest.raises(orgs.SignInRefusedError, match="used already"):
        orgs.sign_in_link_use(secret=secret, address=None)
    assert [event.address for event in events("sign_in_link.used")] == ["192.0.2.1"]


def test_a_sign_in_link_is_kept_as_a_digest_alone(owner: User, actor: Actor) -> None:
    secret = secret_of(orgs.sign_in_link_issue(user=owner, actor=actor))

    link = SignInLink.objects.get()
    assert secret.encode() not in bytes(link.digest)
    assert all(secret not in str((event.before, event.after, event.target_label)) for event in events())


def test_a_sign_in_link_expires(owner: User, actor: Actor) -> None:
    secret = secret_of(orgs.sign_in_link_issue(user=owner, actor=actor, lifetime=timedelta(seconds=-1)))

    with pytest.raises(orgs.SignInRefusedError, match="expired"):
        orgs.sign_in_link_use(secret=secret, address=None)


def test_an_unknown_sign_in_link_is_refused(db: None) -> None:
    with pytest.raises(orgs.SignInRefusedError, match="not known"):
        orgs.sign_in_link_use(secret="no-such-secret", address=None)


def test_a_changed_e_mail_takes_the_links_that_were_sent_to_the_old_one(owner: User, actor: Actor) -> None:
    secret = secret_of(orgs.sign_in_link_issue(user=owner, actor=actor))

    orgs.user_update(user=owner, email="new@acme.test", actor=actor)

    with pytest.raises(orgs.SignInRefusedError):
        orgs.sign_in_link_use(secret=secret, address=None)


@pytest.mark.django_db(transaction=True)
def test_of_two_who_use_a_link_at_the_same_moment_one_gets_in(actor: Actor) -> None:
    acme = orgs.organization_create(name="Acme", slug="acme", actor=actor)
    owner = orgs.owner_create(organization=acme, email="owner@acme.test", password=None, actor=actor)
    secret = secret_of(orgs.sign_in_link_issue(user=owner, actor=actor))
    outcomes: list[str] = []

    def use() -> None:
        try:
            orgs.sign_in_link_use(secret=secret, address=None)
            outcomes.append("in")
        except orgs.SignInRefusedError:
            outcomes.append("refused")
        finally:
            connection.close()

    second = threading.Thread(target=use)
    with transaction.atomic():
        orgs.sign_in_link_use(secret=secret, address=None)
        second.start()
        eventually(_somebody_waits_for_a_row, what="the second waits for the first")
    second.join()

    assert outcomes == ["refused"]


def _somebody_waits_for_a_row() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return cursor.fetchone() == (True,)


# --- Services and tokens ---


def test_a_token_is_shown_once_and_kept_as_a_digest(service: Service, actor: Actor) -> None:
    token, plaintext = services.token_issue(service=service, name="production", actor=actor)

    assert token_is_well_formed(plaintext)
    assert bytes(token.digest) == token_digest(plaintext)
    assert token.masked == f"tg_live_…{plaintext[-4:]}"
    [event] = events("token.issued")
    assert "digest" not in event.after
    assert plaintext not in str(event.after) + event.target_label


def test_scopes_are_known_and_kept_in_one_order(service: Service, actor: Actor) -> None:
    token, _ = services.token_issue(
        service=service, name="x", actor=actor, scopes=["models", "chat_completions", "models"]
    )
    assert token.scopes == ["chat_completions", "models"]

    with pytest.raises(ValidationError) as error:
        services.token_issue(service=service, name="x", actor=actor, scopes=["everything"])
    assert "choose among chat_completions" in refused(error, "scopes")


def test_a_token_does_not_expire_in_the_past(service: Service, actor: Actor) -> None:
    with pytest.raises(ValidationError) as error:
        services.token_issue(service=service, name="x", actor=actor, expires_at=now() - timedelta(seconds=1))
    assert "later time" in refused(error, "expires_at")
    assert not Token.objects.exists()


def test_a_disabled_service_gets_no_token(service: Service, actor: Actor) -> None:
    assert services.service_disable(service=service, actor=actor)
    assert not services.service_disable(service=service, actor=actor)

    with pytest.raises(ValidationError) as error:
        services.token_issue(service=service, name="x", actor=actor)
    assert "enable it first" in refused(error, "service")

    assert services.service_enable(service=service, actor=actor)
    services.token_issue(service=service, name="x", actor=actor)


def test_revoking_twice_says_so_and_leaves_one_event(service: Service, actor: Actor) -> None:
    token, _ = services.token_issue(service=service, name="x", actor=actor)

    assert services.token_revoke(token=token, actor=actor)
    assert not services.token_revoke(token=token, actor=actor)

    assert Token.objects.get().state(now()) == TokenState.REVOKED
    [event] = events("token.revoked")
    assert event.before == {"revoked_at": None}


def test_an_action_whose_transaction_fails_leaves_no_event(service: Service, actor: Actor) -> None:
    token, _ = services.token_issue(service=service, name="x", actor=actor)

    with pytest.raises(RuntimeError, match="power cut"), transaction.atomic():
        services.token_revoke(token=token, actor=actor)
        raise RuntimeError("power cut")

    assert Token.objects.get().revoked_at is None
    assert events("token.revoked") == []


@pytest.mark.django_db(transaction=True)
def test_of_two_who_take_a_name_at_the_same_moment_the_slower_is_told(actor: Actor) -> None:
    acme = orgs.organization_create(name="Acme", slug="acme", actor=actor)
    outcomes: list[str] = []
    together = threading.Barrier(4)

    def create() -> None:
        together.wait()
        try:
            services.service_create(organization=acme, name="web", actor=actor)
            outcomes.append("created")
        except ValidationError as error:
            outcomes.append(" ".join(error.messages))
        finally:
            connection.close()

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["A service with this name exists."] * 3 + ["created"]
    assert Service.objects.filter(organization=acme).count() == 1


# --- Credentials ---


def add(acme: Organization | None, actor: Actor, **changes: Any) -> Credential:
    fields: dict[str, Any] = {
        "organization": acme,
        "provider": "openai",
        "label": "main",
        "base_url": "https://127.0.0.1/v1",
        "secret": SECRET,
    }
    return providers.credential_add(**{**fields, **changes}, actor=actor)


def test_a_secret_is_sealed_and_only_its_end_is_shown(credential: Credential) -> None:
    stored = Credential.objects.get()

    assert SECRET.encode() not in bytes(stored.sealed_secret or b"")
    assert stored.secret() == SECRET
    assert stored.secret_hint == SECRET[-4:]
    [event] = events("credential.added")
    assert SECRET not in str(event.after)
    assert "sealed_secret" not in event.after


def test_a_short_secret_shows_nothing_of_itself(acme: Organization, loopback: None, actor: Actor) -> None:
    assert add(acme, actor, secret="short-key").secret_hint == ""


def test_a_sealed_secret_moved_to_another_row_or_organization_does_not_open(
    acme: Organization, zeta: Organization, loopback: None, actor: Actor
) -> None:
    first = add(acme, actor)
    second = add(acme, actor, label="other", secret="sk-another-secret-9999")

    Credential.objects.filter(pk=second.pk).update(sealed_secret=first.sealed_secret)
    with pytest.raises(SealingError):
        Credential.objects.get(pk=second.pk).secret()
    Credential.objects.filter(pk=first.pk).update(organization=zeta)
    with pytest.raises(SealingError):
        Credential.objects.get(pk=first.pk).secret()


@pytest.mark.parametrize(
    ("changes", "field", "remedy"),
    [
        ({"secret": ""}, "secret", "paste the key"),
        ({"secret": "sk-with space"}, "secret", "paste it again"),
        ({"secret": "sk-\r\nx-admin: 1"}, "secret", "paste it again"),
        ({"api_version": "2024-10-21"}, "api_version", "leave this empty"),
        ({"base_url": "http://127.0.0.1/v1\r\nx: y"}, "base_url", "control characters"),
        ({"base_url": "ftp://127.0.0.1"}, "base_url", "https://host/path"),
        ({"base_url": "https://user:pw@127.0.0.1/v1"}, "base_url", "own field"),
        ({"base_url": "https://169.254.169.254/latest"}, "base_url", "EGRESS_ALLOW"),
        ({"base_url": "https://10.0.0.1/v1"}, "base_url", "EGRESS_ALLOW"),
        ({"base_url": "https://[::ffff:10.0.0.1]/v1"}, "base_url", "EGRESS_ALLOW"),
        ({"base_url": "", "provider": "openai_compatible"}, "base_url", "enter your account's"),
        ({"provider": "teletext"}, "provider", ""),
        ({"connect_timeout": 0.0}, "connect_timeout", ""),
    ],
)
def test_a_credential_that_cannot_work_or_must_not_is_refused_at_its_field(
    acme: Organization, loopback: None, actor: Actor, changes: dict[str, Any], field: str, remedy: str
) -> None:
    with pytest.raises(ValidationError) as error:
        add(acme, actor, **changes)

    assert remedy in refused(error, field)
    assert not Credential.objects.exists()


def test_loopback_is_refused_unless_the_installation_allows_it(acme: Organization, actor: Actor) -> None:
    with pytest.raises(ValidationError) as error:
        add(acme, actor)
    assert "EGRESS_ALLOW" in refused(error, "base_url")


def test_a_new_base_url_needs_the_secret_again(credential: Credential, actor: Actor) -> None:
    with pytest.raises(ValidationError) as error:
        providers.credential_update(credential=credential, base_url="https://127.0.0.1/elsewhere", actor=actor)
    assert "enter the secret again" in refused(error, "secret")
    assert Credential.objects.get().base_url == credential.base_url

    moved = providers.credential_update(
        credential=credential, base_url="https://127.0.0.1/elsewhere/", secret="sk-the-new-one-4321", actor=actor
    )
    assert (moved.base_url, moved.secret()) == ("https://127.0.0.1/elsewhere", "sk-the-new-one-4321")
    [event] = events("credential.updated")
    assert event.after == {
        "base_url": "https://127.0.0.1/elsewhere",
        "secret_hint": "4321",
        "secret_replaced": True,
    }


def test_the_sandbox_moves_without_a_secret(loopback: None, db: None, actor: Actor) -> None:
    sandbox = add(None, actor, provider="sandbox", base_url="http://127.0.0.1:9201/v1", secret="")

    moved = providers.credential_update(credential=sandbox, base_url="http://127.0.0.1:9202/v1", actor=actor)
    assert moved.base_url == "http://127.0.0.1:9202/v1"


def test_other_changes_keep_the_secret(credential: Credential, actor: Actor) -> None:
    changed = providers.credential_update(credential=credential, label="renamed", idle_timeout=5.0, actor=actor)

    assert (changed.label, changed.idle_timeout, changed.secret()) == ("renamed", 5.0, SECRET)


def test_a_provider_is_not_changed_afterwards(credential: Credential, actor: Actor) -> None:
    with pytest.raises(TypeError, match="provider"):
        providers.credential_update(credential=credential, provider="sandbox", actor=actor)


def test_rotating_replaces_the_secret_alone(credential: Credential, actor: Actor) -> None:
    rotated = providers.credential_rotate_secret(credential=credential, secret="sk-rotated-abcd9876", actor=actor)

    assert rotated.secret() == "sk-rotated-abcd9876"
    [event] = events("credential.secret_rotated")
    assert event.after == {"secret_hint": "9876", "secret_replaced": True}


def test_an_azure_endpoint_is_kept_without_the_path_that_is_appended_to_it(
    acme: Organization, loopback: None, actor: Actor
) -> None:
    credential = add(acme, actor, provider="azure_openai", base_url="https://127.0.0.1/openai/v1/")
    assert credential.base_url == "https://127.0.0.1"


def test_disabling_twice_says_so(credential: Credential, actor: Actor) -> None:
    assert providers.credential_disable(credential=credential, actor=actor)
    assert not providers.credential_disable(credential=credential, actor=actor)
    assert providers.credential_enable(credential=credential, actor=actor)


# --- Models ---


def test_the_catalogue_is_listed_from_the_start(db: None) -> None:
    listed = set(ProviderModel.objects.filter(organization=None).values_list("provider", "name"))
    assert listed == {(str(entry.provider), entry.name) for entry in catalogue()}
    assert ("sandbox", "sandbox-chat") in listed


def test_listing_the_catalogue_again_adds_what_is_missing_and_keeps_what_was_disabled(db: None, actor: Actor) -> None:
    disabled = ProviderModel.objects.get(name="sandbox-chat")
    providers.model_update(model=disabled, enabled=False, actor=actor)
    ProviderModel.objects.filter(name="sandbox-embed").delete()

    assert providers.catalogue_sync() == 1
    assert providers.catalogue_sync() == 0

    assert not ProviderModel.objects.get(name="sandbox-chat").enabled
    assert ProviderModel.objects.get(name="sandbox-embed").enabled


def test_a_model_of_the_catalogue_is_disabled_rather_than_removed_or_renamed(db: None, actor: Actor) -> None:
    model = ProviderModel.objects.get(name="sandbox-chat")

    with pytest.raises(ValidationError, match="disable it instead"):
        providers.model_remove(model=model, actor=actor)
    with pytest.raises(ValidationError, match="keeps its name"):
        providers.model_update(model=model, name="sandbox-other", actor=actor)


@pytest.mark.parametrize("name", ["a/../b", "a b", "", "../x", "a%2eb", "a\nb", "x" * 256])
def test_a_model_name_that_could_reach_a_url_wrongly_is_refused(acme: Organization, actor: Actor, name: str) -> None:
    with pytest.raises(ValidationError) as error:
        providers.model_add(organization=acme, provider="openai", name=name, actor=actor)
    assert "name" in error.value.message_dict


def test_a_model_is_listed_once(acme: Organization, actor: Actor) -> None:
    providers.model_add(organization=acme, provider="openai", name="mine", actor=actor)
    with pytest.raises(ValidationError, match="listed already"):
        providers.model_add(organization=acme, provider="openai", name="mine", actor=actor)


def test_a_model_is_not_served_by_another_organizations_or_providers_credential(
    credential: Credential, zeta: Organization, actor: Actor
) -> None:
    for organization, provider in ((zeta, "openai_compatible"), (None, "openai_compatible"), (zeta, "openai")):
        with pytest.raises(ValidationError) as error:
            providers.model_add(
                organization=organization, provider=provider, name="mine", credential=credential, actor=actor
            )
        assert "belongs to" in refused(error, "credential")


def test_models_are_imported_once_as_served_by_the_credential_alone(
    credential: Credential, upstream: FakeProvider, actor: Actor
) -> None:
    listing = {"data": [{"id": "llama-4"}, {"id": "bge-embed"}, {"id": "whisper-x"}, {"id": "bad name"}, {"id": 7}]}
    upstream.answers(listing, always=True)

    added = providers.models_import(credential=credential, actor=actor)

    assert {(model.name, model.kind) for model in added} == {
        ("llama-4", "chat"),
        ("bge-embed", "embedding"),
        ("whisper-x", "other"),
    }
    assert all(model.credential == credential for model in added)
    assert len(events("model.added")) == 3
    assert providers.models_import(credential=credential, actor=actor) == []


def test_an_import_that_cannot_ask_says_why(credential: Credential, upstream: FakeProvider, actor: Actor) -> None:
    upstream.fails(401)
    with pytest.raises(ValidationError, match="refused the secret"):
        providers.models_import(credential=credential, actor=actor)
    assert not ProviderModel.objects.filter(credential=credential).exists()
