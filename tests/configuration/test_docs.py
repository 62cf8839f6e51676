"""docs/declarative.md shows a file that applies, and names every field."""

from apps.configuration.layout import ORGANIZATION, sections_of
from apps.configuration.section import Section
from apps.policies.effective import RULE_FIELDS
from apps.providers.actions import TIMEOUTS
from apps.providers.prices.kinds import KINDS
from tests.configuration.conftest import Apply
from tests.documents.markdown import ROOT, code, rows, snippets

PAGE = ROOT / "docs/declarative.md"
TABLE = {code(row[0])[0]: {word for cell in row for word in code(cell)} for row in rows(PAGE) if len(row) == 3}
# Said in other words, with a link or a number.
ELSEWHERE = {*RULE_FIELDS, *KINDS, *TIMEOUTS}


def test_the_example_applies_and_then_changes_nothing(apply: Apply, db: None) -> None:
    (example,) = (snippet.text for snippet in snippets("yaml") if snippet.where.startswith("docs/declarative.md"))
    keys = {"ANTHROPIC_API_KEY": "sk-ant-1234567890", "OPENAI_API_KEY": "sk-1234567890"}

    first = apply(example, **keys)

    assert (first.code, first.err) == (0, "")
    assert apply(example, "--dry-run", **keys).code == 0


def test_every_section_and_field_is_named() -> None:
    assert {"organizations", *(section.name for section in sections_of(hosted=False))} == TABLE.keys()
    for section in (ORGANIZATION, *sections_of(hosted=False)):
        missing = {field.name for field in section.fields} - ELSEWHERE - TABLE[_row(section)]
        assert not missing, section.name


def _row(section: Section) -> str:
    return "organizations" if section is ORGANIZATION else section.name
