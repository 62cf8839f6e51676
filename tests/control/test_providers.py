"""The providers that are known by name: their usual base URL, what they need, and what is listed of them."""

import json
import re

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client, override_settings
from django.urls import reverse

from apps.core.actor import Actor
from apps.core.env import networks
from apps.orgs.models import Organization
from apps.providers.actions import credential_add, credential_update, models_import
from apps.providers.catalogue import catalogue
from apps.providers.kinds import KINDS
from apps.providers.models import Credential, ModelKind, Provider
from apps.providers.prices.seed import model_facts, seed_rows
from tests.control.conftest import SECRET, Run
from tests.support.provider import FakeProvider

# Known by name, and listed from the start with names and kinds.
CATALOGUED = {"openai", "anthropic", "gemini", "mistral", "cohere", "groq", "deepseek", "xai", "sandbox"}


def test_every_provider_that_can_be_chosen_is_described_and_no_other() -> None:
    assert list(KINDS) == Provider.values


def test_the_database_knows_every_provider(acme: Organization, actor: Actor) -> None:
    for provider in Provider.values:
        Credential.objects.create(organization=acme, provider=provider, label=provider, base_url="https://x.example")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'providers_model_provider'")
        [definition] = cursor.fetchone()
    assert set(re.findall(r"'([a-z_]+)'", definition)) == set(Provider.values)


@pytest.mark.parametrize("provider", [name for name, kind in KINDS.items() if kind.base_url.startswith("https:")])
def test_the_usual_base_url_needs_not_be_known(acme: Organization, actor: Actor, provider: str) -> None:
    made = credential_add(organization=acme, provider=provider, label="x", secret=SECRET, actor=actor)
    assert made.base_url == KINDS[provider].base_url


@pytest.mark.parametrize("provider", ["azure_openai", "openai_compatible", "sandbox"])
def test_where_no_base_url_is_usual_one_must_be_given(acme: Organization, actor: Actor, provider: str) -> None:
    with pytest.raises(ValidationError, match="enter your account's"):
        credential_add(organization=acme, provider=provider, label="x", secret=SECRET, actor=actor)


def test_what_paths_begin_with_is_kept_once(acme: Organization, actor: Actor) -> None:
    for provider, given, kept in (
        ("anthropic", "https://api.anthropic.com/v1/", "https://api.anthropic.com"),
        ("gemini", "https://API.example/v1beta", "https://api.example"),
        ("cohere", "https://api.cohere.com/compatibility/v1", "https://api.cohere.com"),
        ("openai", "https://api.openai.com/v1/", "https://api.openai.com/v1"),
    ):
        made = credential_add(
            organization=acme, provider=provider, label=provider, base_url=given, secret=SECRET, actor=actor
        )
        assert made.base_url == kept
        assert credential_update(credential=made, base_url=given, actor=actor).base_url == kept


def test_a_local_server_is_called_only_where_the_installation_allows_it(acme: Organization, actor: Actor) -> None:
    """Ollama's usual address is plain http on this machine."""
    with (
        override_settings(EGRESS_ALLOW=()),
        pytest.raises(ValidationError, match="EGRESS_ALLOW"),
    ):
        credential_add(organization=acme, provider="ollama", label="x", secret="", actor=actor)

    with override_settings(EGRESS_ALLOW=networks("127.0.0.0/8,::1")):
        made = credential_add(organization=acme, provider="ollama", label="x", secret="", actor=actor)
    assert made.base_url == "http://localhost:11434/v1"
    assert made.secret() == ""


def test_a_provider_that_wants_a_key_is_not_added_without_one(acme: Organization, actor: Actor) -> None:
    for provider, kind in KINDS.items():
        if kind.needs_secret:
            with pytest.raises(ValidationError, match="paste the key"):
                credential_add(
                    organization=acme,
                    provider=provider,
                    label="x",
                    base_url="https://x.example",
                    secret="",
                    actor=actor,
                )


def test_geminis_models_are_imported_under_the_names_they_are_called_by(
    acme: Organization, upstream: FakeProvider, loopback: None, actor: Actor
) -> None:
    upstream.answers({"models": [{"name": "models/gemini-9"}, {"name": "models/gemini-embedding-9"}]})
    credential = credential_add(
        organization=acme, provider="gemini", label="x", base_url=upstream.url, secret=SECRET, actor=actor
    )
    added = models_import(credential=credential, actor=actor)
    assert {(model.name, model.kind) for model in added} == {("gemini-9", "chat"), ("gemini-embedding-9", "embedding")}


def test_every_catalogued_model_has_facts_or_a_price_in_the_book() -> None:
    """A model that is listed under a name the book does not know would be called at no price, and with no bound."""
    known = {(row.provider, row.model) for row in seed_rows()} | model_facts().keys()
    listed = [entry for entry in catalogue() if entry.provider not in {"openai", "sandbox"}]
    assert {str(entry.provider) for entry in catalogue()} == CATALOGUED
    assert [entry for entry in listed if (str(entry.provider), entry.name) not in known] == []
    for entry in listed:
        assert (entry.kind == ModelKind.EMBEDDING) == ("embed" in entry.name)


def test_a_credential_is_added_by_the_providers_name_alone(run: Run, acme: Organization) -> None:
    words = ("--org", "acme", "--label", "claude", "--secret-env", "MY_KEY", "--no-test")
    assert run("add_credential", "--provider", "anthropic", *words, MY_KEY=SECRET).code == 0
    assert Credential.objects.get(label="claude").base_url == "https://api.anthropic.com"

    refused = run("add_credential", "--provider", "azure_openai", *words, MY_KEY=SECRET)
    assert (refused.code, refused.out) == (2, "")
    assert "needs --base-url" in refused.err


def test_the_console_offers_each_provider_with_its_usual_base_url(console: Client, acme: Organization) -> None:
    page = reverse("admin:providers_credential_add")
    form = console.get(page).context["adminform"].form
    usual = json.loads(form.fields["base_url"].widget.attrs["data-usual"])
    assert usual["mistral"] == "https://api.mistral.ai/v1"
    assert not usual.keys() - set(Provider.values)
    assert {value for value, _ in form.fields["provider"].choices if value} == set(Provider.values)

    added = console.post(
        page,
        {
            "provider": "mistral",
            "label": "eu",
            "organization": str(acme.pk),
            "base_url": "",
            "secret": SECRET,
            "priority": "100",
        },
    )
    assert added.status_code == 302, added.context["adminform"].form.errors
    assert Credential.objects.get(label="eu").base_url == "https://api.mistral.ai/v1"
