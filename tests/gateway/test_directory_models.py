"""What the directory knows of names and accounts, in memory: kept in bounded room, and heads for any path."""

import pytest

from apps.gateway.config import Timeouts
from apps.gateway.directory.models import Models
from apps.gateway.directory.routes import Offered, offered
from apps.gateway.directory.upstreams import authentication_lines
from apps.gateway.directory.views import Account, CredentialView
from apps.gateway.upstream.pool import Origin
from apps.providers.aliases.names import AliasBook, AliasRule, Target
from apps.providers.aliases.ways import Stock
from apps.providers.kinds import kind_of
from apps.providers.listing.names import Listing
from apps.providers.model_rows import ModelRow
from apps.providers.prices.book import compile_book


def account(provider: str = "openai", base_url: str = "https://api.openai.com/v1", api_version: str = "") -> Account:
    view = CredentialView(
        id=provider,
        provider=provider,
        label=provider,
        base_url=base_url,
        origin=Origin.of(base_url),
        timeouts=Timeouts(1, 1, 1, 1),
        kind=kind_of(provider),
    )
    return Account(view, api_version, authentication_lines(provider, "sk-1"), drained=False)


def offer(made: Account, listing: Listing | None = None) -> Offered:
    return offered(made, rank=(False, 100), weight=None, listing=listing)


def models(*rules: AliasRule, listing: Listing | None = None) -> Models:
    rows = [ModelRow(provider="openai", name=name) for name in ("gpt-4o", "gpt-4o-mini")]
    made = account()
    return Models(Stock(rows, (), [offer(made, listing)]), AliasBook(rules), compile_book([]), {"openai": made})


def rule(name: str, *targets: str) -> AliasRule:
    return AliasRule(name=name, targets=tuple(Target(model=target) for target in targets))


def test_a_name_is_the_same_object_each_time() -> None:
    known = models(rule("fast", "gpt-4o"), rule("g-*", "openai/gpt-*"))
    for name in ("gpt-4o", "openai/gpt-4o", "fast", "g-4o"):
        assert known.get(name) is known.get(name)
    assert known.get("nothing") is None


def test_the_names_that_clients_choose_are_kept_in_bounded_room() -> None:
    known = models(rule("g-*", "openai/gpt-*"))
    for number in range(1000):
        known.get(f"g-{number}")
        known.get(f"unknown-{number}")
    assert len(known._found) <= 256


def test_names_that_clients_invent_are_kept_in_bounded_room_and_leave_those_in_use() -> None:
    known = models(rule("g-*", "openai/gpt-*"))
    used, caught = known.get("gpt-next"), known.get("g-4o")
    for number in range(1000):
        for name in (f"gpt-{number}", f"openai/x-{number}", f"openai/{number}/{'x' * 200}"):
            made = known.get(name)
            assert made is not None
            assert [route.upstream_model for route in made.routes] == [name.removeprefix("openai/")]
        assert known.get("gpt-next") is used, "what is asked for again and again stays"
    assert len(known._tried) <= 64
    assert known.get("g-4o") is caught, "and takes no room from other names"
    assert len(known._found) == 1


def test_a_name_that_nobody_lists_has_no_price_unless_the_book_has_one() -> None:
    view = models().get("gpt-next")
    assert view is not None
    (route,) = view.routes
    assert (route.sheet(0), route.mode, view.provider, view.plain) == (None, "", "openai", "")
    spelled = models().get("openai/gpt-next")
    assert spelled is not None
    assert (spelled.name, spelled.plain) == ("openai/gpt-next", "gpt-next")


def test_what_the_provider_lists_with_its_prefix_is_listed() -> None:
    told = Listing(["gpt-9", "gpt-4o", "whatever", "claude-9", "gpt-bad name", "fast-9"])
    known = models(rule("fast*", "gpt-4o"), listing=told)
    assert {view.name for view in known.values()} == {"gpt-4o", "gpt-4o-mini", "gpt-9"}
    assert known.near("gpt9")[0] == "gpt-9"
    caught = models(rule("*", "gpt-4o"), listing=told)
    assert "gpt-9" not in {view.name for view in caught.values()}, "it means the alias"


def test_all_models_of_a_credential_share_their_heads_unless_the_path_names_the_model() -> None:
    gemini = offer(account("gemini", "https://generativelanguage.googleapis.com"))
    dated = offer(account("azure_openai", "https://acme.openai.azure.com", "2024-10-21"))
    plain = offer(account("azure_openai", "https://acme.openai.azure.com"))
    assert (bool(gemini.heads), bool(dated.heads), bool(plain.heads)) == (False, False, True)
    shared = models()
    first, second = shared.get("gpt-4o"), shared.get("gpt-4o-mini")
    assert first is not None
    assert second is not None
    assert first.routes[0].heads is second.routes[0].heads


def test_a_pattern_lists_what_its_target_fits_and_models_that_it_hides() -> None:
    told = Listing(["gpt-9", "gpt-10-mini", "o3"])
    known = models(rule("gpt-*", "openai/gpt-*"), rule("o*", "openai/o*"), listing=told)
    names = {view.name for view in known.values()}
    assert names == {"gpt-9", "gpt-10-mini", "o3", "gpt-4o", "gpt-4o-mini"}
    assert all(view.provider == "" for view in known.values()), "all by the aliases"


@pytest.mark.parametrize(
    ("provider", "base_url", "version", "line"),
    [
        ("openai", "https://api.openai.com/v1", "", "GET /v1/files/file-1?limit=2 HTTP/1.1"),
        ("openai_compatible", "https://x.example/deep/v1/", "", "GET /deep/v1/files/file-1?limit=2 HTTP/1.1"),
        ("azure_openai", "https://a.openai.azure.com/openai/v1", "", "GET /openai/v1/files/file-1?limit=2 HTTP/1.1"),
        (
            "azure_openai",
            "https://a.openai.azure.com",
            "2024-10-21",
            "GET /openai/files/file-1?api-version=2024-10-21&limit=2 HTTP/1.1",
        ),
    ],
)
def test_an_account_makes_heads_for_any_path(provider: str, base_url: str, version: str, line: str) -> None:
    head = account(provider, base_url, version).head("GET", "/files/file-1", query="limit=2", content_type="").decode()
    first, *lines = head.split("\r\n")
    assert first == line
    assert lines[-1] == ""
    headers = dict(each.split(": ", 1) for each in lines[:-1])
    assert headers["host"] == Origin.of(base_url).authority
    assert headers["api-key" if provider == "azure_openai" else "authorization"].endswith("sk-1")
    assert "content-type" not in headers
    assert b"content-type: application/json" in account(provider, base_url, version).head("POST", "/files")


def test_the_same_path_is_that_of_the_models_calls() -> None:
    """So that files go to where chat goes."""
    for provider, base_url, version in (
        ("openai", "https://api.openai.com/v1", ""),
        ("azure_openai", "https://a.openai.azure.com/openai", ""),
        ("azure_openai", "https://a.openai.azure.com", "2024-10-21"),
    ):
        made = account(provider, base_url, version)
        head = offer(made).heads or {}
        at = made.head("POST", "/responses").split(b"\r\n")[0]
        assert not head or head["responses"].split(b"\r\n")[0] == at
