"""docs/events.md names every admin event that the code leaves, and no other."""

import re

from tests.documents.markdown import ROOT, code, rows

PAGE = ROOT / "docs/events.md"
_ACTION = re.compile(r'"([a-z_]+\.[a-z_]+)"')
_NO_ACTIONS = {"tollgate.invitation"}
_MADE_UP = {"credential.resealed", "webhook.resealed"}  # of the name of whatever model holds a secret


def _left() -> set[str]:
    """What looks like an action in the modules that leave events."""
    found = set(_MADE_UP)
    for path in (ROOT / "apps").rglob("*.py"):
        text = path.read_text()
        if "from apps.audit.actions import" in text:
            found.update(_ACTION.findall(text))
    return found - _NO_ACTIONS


def test_every_event_is_named_once() -> None:
    named = [action for row in rows(PAGE) if len(row) == 2 for action in code(row[1]) if "." in action]

    assert len(named) == len(set(named)) > 80
    assert set(named) == _left()
