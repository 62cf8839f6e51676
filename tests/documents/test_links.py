"""No document leads nowhere."""

import re
from pathlib import Path

import pytest

from tests.documents.markdown import DOCUMENTS, ROOT, anchors, code, prose

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_PATH = re.compile(r"(?:apps|bench|bin|config|docs|requirements|templates|tests)/[\w./-]*")
_TOP_LEVEL = re.compile(r"(?:Makefile|Procfile|Dockerfile|LICENSE|manage\.py|[A-Z]+\.md)")

by_name = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))


@by_name
def test_links_resolve(document: Path):
    for link in _LINK.findall(prose(document)):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(target), f"{link}: there are {sorted(anchors(target))}"


@by_name
def test_files_that_are_named_exist(document: Path):
    for words in code(prose(document)):
        for word in words.split():
            if _PATH.fullmatch(word) or _TOP_LEVEL.fullmatch(word):
                assert (ROOT / word).exists(), word


def test_every_page_of_docs_is_reachable_from_the_readme():
    linked = {link.partition("#")[0] for link in _LINK.findall((ROOT / "README.md").read_text())}

    assert {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} <= linked
