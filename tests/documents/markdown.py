"""The repository's documents, taken apart as far as their tests need it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "bench/README.md", *(ROOT / "docs").glob("*.md")])

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Snippet:
    """A fenced block and where it stands."""

    language: str
    text: str
    where: str


def snippets(*languages: str) -> list[Snippet]:
    """All blocks in these languages."""
    return [
        Snippet(language, text, f"{document.relative_to(ROOT)}-{number}")
        for document in DOCUMENTS
        for number, (language, text) in enumerate(_FENCE.findall(document.read_text()), 1)
        if language in languages
    ]


def prose(document: Path) -> str:
    """The text without its fenced blocks."""
    return _FENCE.sub("", document.read_text())


def anchors(document: Path) -> set[str]:
    """What `#…` can lead to, by GitHub's rule."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(prose(document))}


def rows(document: Path) -> Iterator[list[str]]:
    """The cells of every table row, headers and rules left out."""
    lines = prose(document).splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        is_rule = re.fullmatch(r"\|[-| ]+\|", line)
        is_header = re.fullmatch(r"\|[-| ]+\|", following)
        if line.startswith("|") and not is_rule and not is_header:
            yield [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def code(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)
