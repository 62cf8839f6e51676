"""What providers list: whose turn it is, what is kept, and what of it is news to the gateway."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from apps.core.actor import Actor
from apps.core.models import Change
from apps.orgs.models import Organization
from apps.providers.actions import (
    credential_add,
    credential_disable,
    credential_drain,
    credential_update,
    models_import,
)
from apps.providers.listing.actions import listings_claim
from apps.providers.models import Credential, ProviderListing
from apps.providers.tasks import listing_refresh
from tests.control.conftest import SECRET
from tests.support.provider import FakeProvider


def tells(upstream: FakeProvider, *names: str) -> None:
    upstream.answers({"object": "list", "data": [{"id": name} for name in names]})


def news() -> int:
    return Change.objects.filter(kind="providers_providerlisting").count()


def test_a_listing_is_kept_with_its_time(credential: Credential, upstream: FakeProvider) -> None:
    tells(upstream, "gpt-b", "gpt-a")
    assert listing_refresh(str(credential.pk))
    listing = ProviderListing.objects.get()
    assert (listing.credential, listing.organization) == (credential, credential.organization)
    assert (listing.names, listing.error) == (["gpt-a", "gpt-b"], "")
    assert listing.listed_at is not None


def test_a_refusal_keeps_what_was_told_before_and_says_why(credential: Credential, upstream: FakeProvider) -> None:
    tells(upstream, "gpt-a")
    listing_refresh(str(credential.pk))
    upstream.fails(401, f"Incorrect API key provided: {SECRET}")
    assert not listing_refresh(str(credential.pk))
    listing = ProviderListing.objects.get()
    assert listing.names == ["gpt-a"]
    assert "refused the secret (401)" in listing.error
    assert SECRET not in listing.error


def test_only_another_list_is_news_to_the_gateway(
    transactional_db: None, credential: Credential, upstream: FakeProvider
) -> None:
    tells(upstream, "gpt-a", "gpt-b")
    listing_refresh(str(credential.pk))
    before = news()
    tells(upstream, "gpt-b", "gpt-a")
    listing_refresh(str(credential.pk))
    upstream.fails(500)
    listing_refresh(str(credential.pk))
    assert news() == before
    tells(upstream, "gpt-a")
    listing_refresh(str(credential.pk))
    assert news() == before + 1


def test_a_turn_comes_once_in_an_hour(credential: Credential) -> None:
    assert listings_claim() == [credential.pk]
    assert listings_claim() == []
    ProviderListing.objects.update(asked_at=now() - timedelta(seconds=3601), names=["gpt-a"])
    assert listings_claim() == [credential.pk]
    assert ProviderListing.objects.get().names == ["gpt-a"]


def test_no_turn_comes_where_it_would_be_no_use(
    acme: Organization, actor: Actor, credential: Credential, settings: Any
) -> None:
    others = [
        credential_add(organization=acme, provider=provider, label=provider, base_url=url, secret=SECRET, actor=actor)
        for provider, url in (("azure_openai", "https://acme.openai.azure.com"), ("sandbox", credential.base_url))
    ]
    drained, off = (
        credential_add(organization=acme, provider="openai", label=label, secret=SECRET, actor=actor)
        for label in ("drained", "off")
    )
    credential_drain(credential=drained, actor=actor)
    credential_disable(credential=off, actor=actor)
    assert listings_claim() == [credential.pk]
    assert others
    ProviderListing.objects.all().delete()
    settings.PROVIDER_LISTINGS_EVERY = 0
    assert listings_claim() == []


def test_those_that_wait_longest_come_first(acme: Organization, actor: Actor, credential: Credential) -> None:
    late = credential_add(organization=acme, provider="openai", label="late", secret=SECRET, actor=actor)
    for row, hours in ((credential, 2), (late, 3)):
        ProviderListing.objects.create(credential=row, organization=acme, asked_at=now() - timedelta(hours=hours))
    new = credential_add(organization=acme, provider="openai", label="new", secret=SECRET, actor=actor)
    assert listings_claim() == [new.pk, late.pk, credential.pk]


def test_another_base_url_forgets_the_listing(credential: Credential, upstream: FakeProvider, actor: Actor) -> None:
    tells(upstream, "gpt-a")
    listing_refresh(str(credential.pk))
    credential_update(credential=credential, label="other", actor=actor)
    assert ProviderListing.objects.exists()
    credential_update(credential=credential, base_url=f"{upstream.url}/other", secret=SECRET, actor=actor)
    assert not ProviderListing.objects.exists()


def test_an_import_keeps_the_listing_as_well(credential: Credential, upstream: FakeProvider, actor: Actor) -> None:
    tells(upstream, "gpt-a")
    models_import(credential=credential, actor=actor)
    assert ProviderListing.objects.get().names == ["gpt-a"]


def test_the_console_shows_when_and_why_not(console: Client, credential: Credential, upstream: FakeProvider) -> None:
    url = "/admin/providers/credential/"
    assert "not asked yet" in console.get(url).content.decode()
    tells(upstream, "gpt-a", "gpt-b")
    listing_refresh(str(credential.pk))
    assert "2 models, 0" in console.get(url).content.decode()
    upstream.fails(429)
    listing_refresh(str(credential.pk))
    page = console.get(f"{url}{credential.pk}/change/").content.decode()
    assert "limiting this account now" in page
    assert "2 models" in page


@pytest.mark.parametrize("count", [1, 25])
def test_the_list_of_credentials_takes_as_many_queries_however_many_there_are(
    console: Client, acme: Organization, actor: Actor, count: int
) -> None:
    for number in range(count):
        credential_add(organization=acme, provider="openai", label=f"c{number}", secret=SECRET, actor=actor)
    with CaptureQueriesContext(connection) as queries:
        console.get("/admin/providers/credential/")
    assert len(queries) < 12
