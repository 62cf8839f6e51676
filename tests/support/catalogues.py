"""What the sources ask to have translated, and what the catalogues answer: read without gettext's tools."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("de", "es")
_PLACES = ("apps", "config", "templates")

_ARGUMENTS = {  # where a function's context, message and plural stand
    "gettext": (None, 0, None),
    "ngettext": (None, 0, 1),
    "pgettext": (0, 1, None),
    "npgettext": (0, 1, 2),
}
_STRING = r"u?'(?:\\.|[^'\\])*'|u?\"(?:\\.|[^\"\\])*\""
_CALL = re.compile(rf"(?<![\w.])(_|n?p?gettext)\(\s*((?:{_STRING})(?:\s*,\s*(?:{_STRING}))*)")


class Message(NamedTuple):
    """What is translated: the same words in another context, or with a plural, are another message."""

    context: str | None
    text: str
    plural: str | None


class Entry(NamedTuple):
    """What a catalogue has of a message: its flags, and one translation or one for each number."""

    flags: frozenset[str]
    translations: tuple[str, ...]


def messages_of_the_sources() -> dict[Message, Path]:
    """Every message that code and templates name, with a file that does."""
    found: dict[Message, Path] = {}
    for place in _PLACES:
        for path in sorted((ROOT / place).rglob("*")):
            if path.suffix == ".py":
                messages = _of_python(path.read_text())
            elif path.suffix in {".html", ".txt"}:
                messages = _of_a_template(path.read_text())
            else:
                continue
            for message in messages:
                found.setdefault(message, path.relative_to(ROOT))
    return found


def catalogue(language: str) -> dict[Message, Entry]:
    """The entries of a language's django.po, but for its header."""
    lines = (ROOT / "locale" / language / "LC_MESSAGES" / "django.po").read_text().splitlines()
    entries: dict[Message, Entry] = {}
    for paragraph in "\n".join(lines).split("\n\n"):
        flags: set[str] = set()
        words: dict[str, str] = {}
        for line in paragraph.splitlines():
            if line.startswith("#,"):
                flags |= {flag.strip() for flag in line[2:].split(",")}
            elif not line.startswith("#"):
                keyword, quoted = ("", line) if line.startswith('"') else line.split(" ", 1)
                keyword = keyword or list(words)[-1]
                words[keyword] = words.get(keyword, "") + ast.literal_eval(quoted)
        if words.get("msgid"):
            message = Message(words.get("msgctxt"), words["msgid"], words.get("msgid_plural"))
            entries[message] = Entry(
                frozenset(flags), tuple(text for keyword, text in words.items() if keyword.startswith("msgstr"))
            )
    return entries


def _of_python(source: str) -> Iterator[Message]:
    tree = ast.parse(source)
    names = {
        alias.asname or alias.name: alias.name.removesuffix("_lazy").removesuffix("_noop")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation"
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and names.get(node.func.id) in _ARGUMENTS:
            words = [argument.value if isinstance(argument, ast.Constant) else None for argument in node.args]
            yield _message(names[node.func.id], words)


def _of_a_template(source: str) -> Iterator[Message]:
    for name, words in _CALL.findall(templatize(source)):
        yield _message(
            "gettext" if name == "_" else name, [ast.literal_eval(word) for word in re.findall(_STRING, words)]
        )


def _message(name: str, words: list[object]) -> Message:
    picked = [None if at is None else words[at] for at in _ARGUMENTS[name]]
    context, text, plural = picked
    assert isinstance(text, str), f"{name} is called with something that no catalogue can hold: {words}"
    return Message(context, text, plural)  # type: ignore[arg-type]  # literals, asserted above
