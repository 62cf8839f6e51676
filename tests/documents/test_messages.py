"""The console's languages are complete: every message of the sources is translated, and what is compiled is what is written.

After a change of strings: `make messages`, translate what is new in locale/, and `make messages` again.
"""

import gettext
import re

import pytest
import unfold
from django.utils.translation import trans_real

from tests.support.catalogues import LANGUAGES, ROOT, Entry, Message, catalogue, messages_of_the_sources

_PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%%|\{\w*\}")
_FORMATTED = re.compile(r"%\(\w+\)[sd]")

in_every_language = pytest.mark.parametrize("language", LANGUAGES)


@pytest.fixture(scope="module")
def sources() -> set[Message]:
    return set(messages_of_the_sources())


@in_every_language
def test_every_message_of_the_sources_is_in_the_catalogue_and_no_other(language: str, sources: set[Message]):
    entries = set(catalogue(language))
    assert not sources - entries, "make messages, then translate these"
    assert not entries - sources, "no source says these any more: make messages"


@in_every_language
def test_every_message_is_translated(language: str):
    for message, entry in catalogue(language).items():
        assert all(entry.translations), message
        assert "fuzzy" not in entry.flags, message
        assert len(entry.translations) == (2 if message.plural else 1), message


@in_every_language
def test_translations_keep_what_is_filled_in(language: str):
    for message, entry in catalogue(language).items():
        for original, translation in _pairs(message, entry):
            assert sorted(_PLACEHOLDER.findall(translation)) == sorted(_PLACEHOLDER.findall(original)), translation
            if _FORMATTED.search(original):  # what Python formats: every other percent sign would be an error
                assert "%" not in _PLACEHOLDER.sub("", translation), translation
            assert (translation[:1].isspace(), translation[-1:].isspace()) == (
                original[:1].isspace(),
                original[-1:].isspace(),
            ), translation


@in_every_language
def test_what_is_compiled_is_what_is_written(language: str):
    with (ROOT / "locale" / language / "LC_MESSAGES" / "django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    entries = catalogue(language)
    for message, entry in entries.items():
        for number, translation in zip((1, 2), entry.translations, strict=False):
            assert _say(compiled, message, number) == translation, "make messages"
    spoken = {key[0] if isinstance(key, tuple) else key for key in compiled._catalog if key}
    assert len(spoken) == len(entries), "make messages"


@in_every_language
def test_the_theme_says_nothing_untranslated(language: str):
    """It brings no catalogue: what Django's do not have either stands in apps/core/theme_words.py."""
    known = trans_real.translation(language)
    root = ROOT.joinpath(*unfold.__path__) / "templates"
    for path in [*(root / "admin").glob("*.html"), *(root / "unfold").rglob("*.html")]:
        for words in re.findall(r"""\{% trans(?:late)? ["'](.+?)["'] """, path.read_text()):
            if path.name != "dataset_actions.html":
                assert known.gettext(words) != words or words in {"General", "System"}, (path.name, words)


def _pairs(message: Message, entry: Entry) -> list[tuple[str, str]]:
    originals = [message.text, message.plural] if message.plural else [message.text]
    return list(zip(originals, entry.translations, strict=True))  # type: ignore[arg-type]  # neither is None here


def _say(compiled: gettext.GNUTranslations, message: Message, number: int) -> str:
    match message:
        case Message(None, text, None):
            return compiled.gettext(text)
        case Message(None, text, str(plural)):
            return compiled.ngettext(text, plural, number)
        case Message(str(context), text, None):
            return compiled.pgettext(context, text)
        case Message(str(context), text, str(plural)):
            return compiled.npgettext(context, text, plural, number)
    raise AssertionError(message)
