"""A directory: what Okta and Entra send, sent by hand."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.invitations.conftest import (  # noqa: F401 - fixtures
    COMMAND,
    _fresh_limits,
    _quick_passwords,
    acme,
    actor,
    person,
    run,
    zeta,
)


class Directory:
    """Calls with one organization's token."""

    def __init__(self, organization: Any) -> None:
        from apps.orgs.scim.actions import directory_token_issue

        self.row, self.token = directory_token_issue(organization=organization, name="Okta", actor=COMMAND)

    def __call__(self, method: str, path: str, body: Any = None, **headers: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", **headers}
        data = b"" if body is None else json.dumps(body).encode()
        client = Client(enforce_csrf_checks=True)
        answer = client.generic(method, f"/scim/v2{path}", data, content_type="application/scim+json", headers=headers)
        assert answer.status_code == 204 or answer["Content-Type"] == "application/scim+json"
        return answer

    def create(self, email: str, **more: Any) -> Any:
        body = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": email,
            "name": {"givenName": "Ana", "familyName": "Ash"},
            "emails": [{"primary": True, "value": email, "type": "work"}],
            "active": True,
            **more,
        }
        return self("POST", "/Users", body)

    def patch(self, path: str, *operations: Any) -> Any:
        schemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]
        return self("PATCH", path, {"schemas": schemas, "Operations": list(operations)})


@pytest.fixture
def directory(acme: Any) -> Directory:  # noqa: F811 - a fixture of the same name
    return Directory(acme)


type Told = Callable[..., Any]
