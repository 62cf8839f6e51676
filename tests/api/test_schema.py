"""The schema says what the API does, and the file in docs/ is that schema."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.test import Client
from jsonschema import Draft202012Validator

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
        headers = {each["name"]: each.get("required", False) for each in told.get("parameters", [])}
        expected = {"400", "401", "403", "405", "429", "500", "503"}
        if "{" in path:
            expected.add("404")
        if "requestBody" in told:
            expected |= {"413", "415"}
        if "Idempotency-Key" in headers:
            expected.add("409")
        if "If-Match" in headers:
            expected |= {"412", "428"} if headers["If-Match"] else {"412"}
        assert {status for status in told["responses"] if status >= "400"} == expected, (verb, path)
        for status, answer in told["responses"].items():
            if status >= "400":
                assert answer == {"$ref": f"#/components/responses/Error{status}"}, (verb, path)


def examples(schema: str) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Where it is, the schema of what it is an example of, and the example, of every body, every answer and every error."""
    for path, verb, told in operations(schema):
        bodies = {"body": told["requestBody"]} if "requestBody" in told else {}
        answers = {status: answer for status, answer in told["responses"].items() if status < "400" and status != "204"}
        for where, what in (bodies | answers).items():
            for kind, content in what["content"].items():
                assert "example" in content, f"{verb} {path}: no example of the {where} as {kind}"
                yield f"{verb} {path} {where} {kind}", content["schema"], content["example"]
    for name, answer in yaml.safe_load(schema)["components"]["responses"].items():
        content = answer["content"]["application/json"]
        yield name, content["schema"], content["example"]


def nullable(schema: Any) -> Any:
    """OpenAPI's word for null in JSON Schema's."""
    if isinstance(schema, list):
        return [nullable(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: nullable(each) for name, each in schema.items() if name != "nullable"}
    return {"anyOf": [found, {"type": "null"}]} if schema.get("nullable") is True else found


def test_every_body_and_answer_has_an_example_that_is_one(schema: str):
    components = nullable(yaml.safe_load(schema)["components"])
    seen = 0
    for _where, told, example in examples(schema):
        whole = {"components": components, "allOf": [nullable(told)]}
        Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(example)
        seen += 1
    assert seen > 120


def test_examples_of_answers_have_every_field(schema: str):
    components = yaml.safe_load(schema)["components"]["schemas"]
    for where, told, example in examples(schema):
        if "$ref" in told and " body " not in where:
            shape = components[told["$ref"].rpartition("/")[2]]
            optional = shape["properties"].keys() - set(shape.get("required", []))
            assert shape["properties"].keys() - example.keys() <= optional, where


def test_examples_hold_nothing_that_opens_anything(schema: str):
    assert not re.findall(r"tg_(?:live|admin|scim)_\w{20,}", schema)


def test_examples_of_errors_are_what_the_api_says(schema: str):
    """Their codes are those that docs/api.md explains under the same status."""
    explained = {
        status: set(re.findall(r"`(\w+)`", codes))
        for status, codes in re.findall(r"^\| (\d{3}) \| ([^|]*) \|", (ROOT / "docs/api.md").read_text(), re.MULTILINE)
    }
    responses = yaml.safe_load(schema)["components"]["responses"]
    assert {f"Error{status}" for status in explained} == responses.keys()
    for status, codes in explained.items():
        example = responses[f"Error{status}"]["content"]["application/json"]["example"]
        assert example["error"]["code"] in codes, status


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
