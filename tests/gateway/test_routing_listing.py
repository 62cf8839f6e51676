"""Lists of models: what the token may really call, aliases and providers' own lists included."""

from collections.abc import Iterator
from typing import Any

import pytest

from apps.providers.actions import credential_drain
from apps.providers.aliases.models import Alias
from apps.providers.models import Credential, ProviderModel
from apps.providers.tasks import listing_refresh
from tests.support.gateway import eventually
from tests.support.governed import ruled
from tests.support.provider import FakeProvider
from tests.support.routes import alias, answers, ask
from tests.support.tenant import ACTOR, Tenant


@pytest.fixture
def spare() -> Iterator[FakeProvider]:
    """Another provider."""
    with FakeProvider() as provider:
        yield provider


@pytest.fixture
def mistral(acme: Tenant, spare: FakeProvider) -> Credential:
    """Another provider's credential, which serves everything of its provider's: `spare`."""
    return acme.add_credential(spare.url + "/v1", provider="mistral", label="mistral")


def models(tenant: Tenant) -> dict[str, Any]:
    """The models that are listed, by id."""
    return {entry["id"]: entry for entry in tenant.http().get("/v1/models").raise_for_status().json()["data"]}


def listed(tenant: Tenant, name: str, *, is_there: bool = True) -> None:
    """Waits until the name is listed, or is not."""
    eventually(lambda: (name in models(tenant)) is is_there, what=f"{name} in the list: {is_there}")


def tells(provider: FakeProvider, credential: Credential, *names: str) -> None:
    """The provider is asked for its models, and lists these."""
    provider.answers({"object": "list", "data": [{"id": name} for name in names]})
    assert listing_refresh(str(credential.pk))


def test_an_alias_is_listed_once_and_retrieved(acme: Tenant) -> None:
    alias(acme, "fast", "gpt-test")
    alias(acme, "renamed", "gpt-test")
    alias(acme, "nowhere", "not-there")
    listed(acme, "fast")
    entries = acme.http().get("/v1/models").json()["data"]
    ids = [entry["id"] for entry in entries]
    assert ids == sorted(ids)
    assert ids.count("renamed") == 1
    assert "nowhere" not in ids
    one = acme.http().get("/v1/models/fast").json()
    assert one == next(entry for entry in entries if entry["id"] == "fast")
    assert (one["object"], one["owned_by"]) == ("model", "openai_compatible")


def test_a_spelled_name_is_retrieved_though_it_is_not_listed(acme: Tenant) -> None:
    name = "openai_compatible/gpt-test"
    assert name not in models(acme)
    assert acme.http().get(f"/v1/models/{name}").json()["id"] == name
    assert acme.http().get("/v1/models/mistral/gpt-test").status_code == 404


def test_what_a_provider_no_longer_lists_is_not_listed_but_still_asked_for(
    acme: Tenant, upstream: FakeProvider
) -> None:
    assert {"gpt-test", "embed-test"} <= models(acme).keys()
    tells(upstream, acme.credential, "gpt-test-2026-01-01", "upstream/other")
    listed(acme, "embed-test", is_there=False)
    assert {"gpt-test", "renamed"} <= models(acme).keys(), "dated names and upstream names are looked for as well"
    assert acme.http().get("/v1/models/embed-test").status_code == 200
    assert ask(acme, "embed-test").status_code == 200
    tells(upstream, acme.credential, "embed-test")
    listed(acme, "embed-test")
    listed(acme, "gpt-test", is_there=False)


def test_a_model_is_listed_if_any_provider_lists_it(acme: Tenant, upstream: FakeProvider, spare: FakeProvider) -> None:
    acme.add_route("both", upstream.url + "/v1", label="first")
    second = acme.add_route("both", spare.url + "/v1", label="second")
    tells(spare, second, "something-else")
    listed(acme, "both")
    assert "both" in models(acme)


def test_the_names_that_a_pattern_catches_are_listed_as_far_as_the_provider_lists_them(
    acme: Tenant, mistral: Credential, spare: FakeProvider
) -> None:
    alias(acme, "m-*", "mistral/mistral-*")
    answers(acme, "m-small-latest")
    assert not any(name.startswith("m-") for name in models(acme))
    tells(spare, mistral, "mistral-small-latest", "mistral-tiny", "codestral-1")
    listed(acme, "m-tiny")
    assert {name for name in models(acme) if name.startswith("m-")} == {"m-small-latest", "m-tiny"}


def test_what_the_policies_deny_is_not_listed(acme: Tenant, mistral: Credential) -> None:
    alias(acme, "fast", "gpt-test")
    alias(acme, "other", "mistral/mistral-small-latest")
    listed(acme, "other")
    ruled(acme, denied_models=["gpt-test"])
    listed(acme, "gpt-test", is_there=False)
    shown = models(acme)
    assert "fast" not in shown
    assert "other" in shown
    assert acme.http().get("/v1/models/fast").status_code == 404


def test_what_only_a_drained_credential_serves_is_not_listed(acme: Tenant) -> None:
    listed(acme, "gpt-test")
    credential_drain(credential=acme.credential, actor=ACTOR)
    listed(acme, "gpt-test", is_there=False)


@pytest.mark.parametrize(
    ("path", "headers", "kept"),
    [
        ("/v1/models", {"anthropic-version": "2023-06-01"}, "data"),
        ("/v1beta/models", {}, "models"),
    ],
)
def test_aliases_are_listed_in_the_askers_dialect(acme: Tenant, path: str, headers: dict[str, str], kept: str) -> None:
    alias(acme, "fast", "gpt-test")
    listed(acme, "fast")
    entries = acme.http().get(path, headers=headers).raise_for_status().json()[kept]
    assert any(entry.get("id", entry.get("name", "")).removeprefix("models/") == "fast" for entry in entries)


def test_every_dialect_says_since_when_a_model_or_alias_is_there(acme: Tenant) -> None:
    alias(acme, "fast", "gpt-test")
    listed(acme, "fast")
    shown = models(acme)
    http = acme.http()
    for name, made in (
        ("gpt-test", ProviderModel.objects.get(name="gpt-test", organization=acme.organization).created_at),
        ("fast", Alias.objects.get(name="fast", organization=acme.organization).created_at),
    ):
        assert shown[name]["created"] == int(made.timestamp())
        assert shown[name]["owned_by"] == "openai_compatible"
        theirs = http.get(f"/v1/models/{name}", headers={"anthropic-version": "2023-06-01"}).json()
        assert theirs["created_at"] == made.strftime("%Y-%m-%dT%H:%M:%SZ")
