"""docs/members.md says what the data says."""

import re

from apps.core.console import ConsoleAdmin
from apps.orgs.models import Role
from apps.orgs.roles import PERMISSIONS, SWITCHES, Permission
from tests.documents.markdown import ROOT

PAGE = (ROOT / "docs/members.md").read_text()


def test_the_matrix_is_the_data() -> None:
    head, _rule, *rows = re.findall(r"^\|.*\|$", PAGE.partition("\n## Invitations")[0], re.MULTILINE)
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in (head, *rows)]
    assert cells[0] == ["permission", *Role.values]
    assert cells[1:] == [
        [f"`{permission}`", *("yes" if permission in PERMISSIONS[role] else "" for role in Role)]
        for permission in Permission
    ]


def test_every_switch_is_told_with_what_it_gives() -> None:
    told = " ".join(PAGE.split())
    for switch, permissions in SWITCHES.items():
        words = switch.replace("_", " ")
        assert all(f"*{words}* adds `{permission}`" in told for permission in permissions)


def test_every_page_of_the_console_takes_permissions_that_there_are() -> None:
    from django.contrib import admin

    known = {*Permission, ""}
    for page in admin.site._registry.values():
        assert isinstance(page, ConsoleAdmin)
        assert {page.permission_read, page.permission_write} <= known, page
