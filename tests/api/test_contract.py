"""One contract for every path, verb and role, whatever the tenancy: nobody reaches another organization's rows, or learns that they
are there.

The paths and verbs come from the URL conf itself, so a new one is held to it from its first day.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client
from django.urls import URLPattern

from tests.api.conftest import Api, member
from tests.api.world import furnish
from tests.support.tenancies import IMPLEMENTATIONS

if TYPE_CHECKING:
    from apps.orgs.models import Organization

ROLES = ("owner", "admin", "member", "auditor", "billing")
# Answered before any row is looked for, or after it was found: never another organization's.
FINE = {200, 201, 204, 400, 428}


def every_operation() -> Iterator[tuple[str, str, Any]]:
    """Path, verb and view of everything that the API serves."""
    from apps.api.urls import resources

    for pattern in resources:
        assert isinstance(pattern, URLPattern)
        view = pattern.callback.view_class
        for verb in view.permissions:
            yield str(pattern.pattern), verb, view


def filled(path: str, ids: dict[str, str]) -> str:
    """The path with the ids of one organization's rows."""
    for converter in ("uuid", "request"):
        for name, value in ids.items():
            path = path.replace(f"<{converter}:{name}>", value)
    assert "<" not in path, f"tests/api/world.py makes no row for {path}"
    return path


@pytest.fixture(autouse=True)
def _many_requests(settings: Any) -> None:
    settings.API_RATE_LIMIT = settings.API_FAILURE_LIMIT = "100000/m"


@pytest.fixture
def ours(acme: "Organization") -> dict[str, str]:
    return furnish(acme)


@pytest.fixture
def theirs(zeta: "Organization") -> dict[str, str]:
    return furnish(zeta)


def ask(api: Api, verb: str, path: str) -> Any:
    """With a body that no rule is broken by before a row is looked for."""
    return api(verb, path, None if verb in {"GET", "DELETE"} else {})


@pytest.mark.parametrize("tenancy", IMPLEMENTATIONS)
@pytest.mark.parametrize("role", [*ROLES, "key", "nobody"])
def test_another_organizations_rows_are_never_there(
    role: str,
    tenancy: str,
    ours: dict[str, str],
    theirs: dict[str, str],
    acme: Any,
    signed_in: Any,
    with_key: Any,
    settings: Any,
):
    from apps.orgs.models import Role
    from apps.orgs.roles import permissions_of

    settings.TENANCY = tenancy
    api = Api() if role == "nobody" else with_key() if role == "key" else signed_in(member(acme, role))
    allowed = set(permissions_of(Role(role), acme)) if role in ROLES else None
    names = {"zeta", *theirs.values()}
    seen = 0
    for path, verb, view in every_operation():
        response = ask(api, verb, filled(path, theirs))
        needed, at = view.permissions[verb], f"{role}: {verb} {path}: {response.text_seen[:300]}"
        if role == "nobody":
            assert response.status_code == 401, at
        elif (allowed is not None and needed is not None and needed not in allowed) or verb in view.staff_only:
            assert response.status_code == 403, at
        elif "<" in path:
            assert response.status_code == 404, at
            assert response.json()["error"]["message"] == "There is no such thing here.", at
        else:
            assert response.status_code in FINE, at
        leaked = [name for name in names if name in response.text_seen]
        assert not leaked, at
        seen += 1
    assert seen > 90


@pytest.mark.parametrize("role", ROLES)
def test_ones_own_rows_are_there_for_who_may_see_them_and_for_nobody_else(
    role: str, ours: dict[str, str], acme: Any, signed_in: Any
):
    from apps.orgs.models import Role
    from apps.orgs.roles import permissions_of

    api, allowed = signed_in(member(acme, role)), permissions_of(Role(role), acme)
    for path, verb, view in every_operation():
        if verb != "GET":
            continue  # what writes is tried by each resource's own tests
        path = filled(path, ours)
        path += "?format=csv" if path.endswith("export") else ""
        response = ask(api, verb, path)
        needed = view.permissions[verb]
        expected = 200 if needed is None or needed in allowed else 403
        assert response.status_code == expected, f"{role}: {verb} {path}: {response.text_seen[:300]}"


def test_what_writes_is_refused_to_who_only_reads(ours: dict[str, str], acme: Any, signed_in: Any):
    for role in ("auditor", "billing"):
        api = signed_in(member(acme, role))
        for path, verb, view in every_operation():
            needed = view.permissions[verb]
            if needed is not None and needed.endswith(".write"):
                response = ask(api, verb, filled(path, ours))
                assert response.status_code == 403, f"{role}: {verb} {path}"


def test_every_operation_takes_a_permission_that_goes_with_its_verb():
    for path, verb, view in every_operation():
        needed = view.permissions[verb]
        if verb == "GET":
            assert needed is None or needed.endswith(".read"), path
        elif path != "explanations":  # asks, and changes nothing
            assert needed.endswith(".write"), path


def test_without_its_filter_a_view_still_shows_one_organization(
    ours: dict[str, str], theirs: dict[str, str], api: Api, monkeypatch: pytest.MonkeyPatch
):
    """The bug that row-level security is there for: a view forgets whose rows it lists."""
    from apps.api.frame.views import ApiView

    monkeypatch.setattr(ApiView, "mine", lambda _self, rows, **_options: rows)

    for path, verb, _view in every_operation():
        if verb == "GET":
            path = filled(path, theirs)
            response = ask(api, verb, path + ("?format=jsonl" if path.endswith("export") else ""))
            assert "zeta" not in response.text_seen, path
            assert response.status_code in {200, 404}, path


def test_platform_staff_see_every_organization(ours: dict[str, str], theirs: dict[str, str], staff: Api):
    for ids in (ours, theirs):
        for path, verb, _view in every_operation():
            if verb != "GET" or path == "settings":
                continue
            path = filled(path, ids)
            path += "?format=csv" if path.endswith("export") else ""
            assert ask(staff, verb, path).status_code == 200, path


def test_the_schema_and_its_page_are_for_everybody(db: None):
    client = Client()
    assert client.get("/api/docs/").status_code == 200
    assert client.get("/api/schema/").status_code == 200
