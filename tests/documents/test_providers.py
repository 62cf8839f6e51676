"""docs/providers.md has a row for every provider, with what the code says of it."""

from apps.providers.kinds import KINDS
from tests.documents.markdown import ROOT, code, rows

PAGE = ROOT / "docs/providers.md"

_SPEAKS = {"openai": "OpenAI", "anthropic": "Anthropic", "gemini": "Gemini"}


def _listed() -> dict[str, list[str]]:
    return {code(row[0])[0]: row[1:] for row in rows(PAGE) if len(row) == 5}


def test_every_provider_has_a_row_and_nothing_else_has():
    assert list(_listed()) == list(KINDS)


def test_each_row_says_what_the_code_does():
    for provider, (base_url, speaks, key, has) in _listed().items():
        kind = KINDS[provider]
        assert (code(base_url) == [kind.base_url]) == bool(kind.base_url), provider
        assert speaks == _SPEAKS[kind.dialect], provider
        header = {"authorization": "Authorization: Bearer"}.get(kind.key_header, kind.key_header)
        assert code(key) == ([header] if provider != "sandbox" else []), provider
        paths = [name.replace("_", " ") for name in kind.paths if name != "models"]
        assert [word for word in has.split(", ") if word] == paths, provider
