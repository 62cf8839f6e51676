"""The schema says what the API does, and the file in docs/ is that schema."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.test import Client

from tests.documents.markdown import ROOT

FILE = ROOT / "docs/openapi.yaml"


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> str:
    made = tmp_path_factory.mktemp("schema") / "openapi.yaml"
    call_command("spectacular", file=str(made), validate=True, fail_on_warn=True)
    return made.read_text()


def operations(schema: str) -> list[tuple[str, str, dict[str, Any]]]:
    paths = yaml.safe_load(schema)["paths"]
    return [(path, verb, told) for path, verbs in paths.items() for verb, told in verbs.items()]


def test_the_file_is_what_the_code_says(schema: str):
    assert schema == FILE.read_text(), "run: .venv/bin/python manage.py spectacular --file docs/openapi.yaml"


def test_every_operation_is_in_it(schema: str):
    from tests.api.test_contract import every_operation

    served = {
        ("/api/" + re.sub(r"<\w+:(\w+)>", r"{\1}", path), verb.lower()) for path, verb, _view in every_operation()
    }
    assert served == {(path, verb) for path, verb, _told in operations(schema)}


def test_every_operation_declares_its_errors(schema: str):
    for path, verb, told in operations(schema):
        expected = {"400", "401", "403", "405", "429", "500", "503"}
        if "{" in path:
            expected.add("404")
        if "requestBody" in told:
            expected |= {"413", "415"}
        assert expected <= told["responses"].keys(), (verb, path)
        for status, answer in told["responses"].items():
            if status >= "400":
                assert answer == {"$ref": f"#/components/responses/Error{status}"}, (verb, path)


def test_inputs_take_no_other_fields(schema: str):
    components = yaml.safe_load(schema)["components"]["schemas"]
    taken = [
        told["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for _path, _verb, told in operations(schema)
        if "requestBody" in told
    ]
    assert len(taken) > 20
    for name in taken:
        assert components[name]["additionalProperties"] is False, name


def test_secrets_are_in_no_answers_shape_but_once(schema: str):
    """Where a secret is shown, it is where it was made."""
    made = {
        told["operationId"]
        for _path, _verb, told in operations(schema)
        for status, answer in told["responses"].items()
        if status == "201" and "$ref" in answer["content"]["application/json"]["schema"]
        if answer["content"]["application/json"]["schema"]["$ref"].endswith(("Issued", "Made"))
    }
    assert made == {
        "tokens_create",
        "tokens_rotate_create",
        "keys_create",
        "webhooks_create",
        "webhooks_rotate_create",
        "invitations_create",
        "invitations_resend_create",
    }


def test_the_page_loads_nothing_from_elsewhere(db: None):
    client = Client()
    page = client.get("/api/docs/")
    text = page.content.decode()

    assert page.status_code == 200
    assert "default-src 'self'" in page["Content-Security-Policy"]
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", text)
    assert not re.findall(r"<script(?![^>]*\bsrc=)", text), "an inline script, which the policy forbids"
    for address in re.findall(r"""(?:src|href)=["']([^"']+)["']""", text):
        asset = client.get(address)
        assert asset.status_code == 200, address
        asset.close()


def test_the_file_ends_as_files_do():
    assert Path(FILE).read_text().endswith("\n")
