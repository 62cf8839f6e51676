"""docs/sso.md says what each code of a refusal means."""

from apps.orgs.sso import refusals
from tests.documents.markdown import ROOT, code, prose


def test_every_code_is_explained_and_no_other():
    table = prose(ROOT / "docs/sso.md").partition("| code |")[2]
    told = {name for line in table.splitlines() if line.startswith("| `") for name in code(line.split("|")[1])}

    assert told == {each.code for each in vars(refusals).values() if isinstance(each, refusals.Reason)}
