"""docs/errors.md has a row for every error of the gateway, and none that there is not."""

from apps.core.errors import GatewayError
from tests.documents.markdown import ROOT, code, rows

PAGE = ROOT / "docs/errors.md"


def _tree(kind: type[GatewayError]) -> set[type[GatewayError]]:
    return {kind}.union(*(_tree(child) for child in kind.__subclasses__()))


def _facts(kind: type[GatewayError]) -> tuple[str, ...]:
    retry = {True: "true", False: "false", None: "-"}[kind.retryable]
    return str(kind.status), kind.code, kind.type, kind.reason or kind.code, retry


def test_the_table_is_the_tree():
    ours = {_facts(kind) for kind in _tree(GatewayError) if kind.__module__.startswith("apps.")}
    listed = {(row[0], *code(row[1]), *code(row[2]), *code(row[3]), row[4]) for row in rows(PAGE)}

    assert listed == ours


def test_no_row_stands_twice_and_each_says_what_it_means():
    meanings = [(row[3], row[5]) for row in rows(PAGE)]

    assert len({recorded for recorded, _ in meanings}) == len(meanings)
    assert all(meaning for _, meaning in meanings)
