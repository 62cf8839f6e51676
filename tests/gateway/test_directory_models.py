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
