"""What particular providers want in a request of OpenAI's form, and what they say when they refuse one."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.providers.kinds import KINDS
from apps.providers.quirks import means_stream_options, suited
from apps.providers.refusals import openai_refusal

PLAIN = KINDS["openai_compatible"]
MISTRAL = KINDS["mistral"]
DEEPSEEK = KINDS["deepseek"]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
WORDS = st.sampled_from(["error", "message", "detail", "code", "type", "param", "msg", "loc"])
REFUSALS = st.recursive(
    JSON, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5), max_leaves=12
)


def raw(body: Any) -> bytes:
    return json.dumps(body).encode()


# --- Requests ---


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"max_completion_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 5, "max_tokens": 9}, {"max_tokens": 5}),
        ({"max_completion_tokens": None, "max_tokens": 9}, {"max_tokens": 9}),
        ({"max_completion_tokens": None}, {"max_tokens": None}),
        ({"max_tokens": 9}, {"max_tokens": 9}),
        ({"messages": [{"content": '"max_completion_tokens": 5'}]}, None),
        ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
        ({"stream_options": None, "max_completion_tokens": 1}, {"max_tokens": 1}),
    ],
)
def test_a_cap_goes_under_the_only_name_that_is_heeded(sent: dict[str, Any], kept: dict[str, Any] | None) -> None:
    assert json.loads(suited(raw(sent), MISTRAL)) == (sent if kept is None else kept)


def test_who_takes_the_field_gets_it() -> None:
    body = raw({"stream_options": {"include_usage": True}, "max_completion_tokens": 5})
    assert json.loads(suited(body, DEEPSEEK)) == {"stream_options": {"include_usage": True}, "max_tokens": 5}
    assert suited(body, PLAIN) is body
    assert suited(body, KINDS["openai"]) is body


@given(st.dictionaries(st.text(max_size=12), JSON, max_size=5), st.sampled_from(list(KINDS.values())))
def test_nothing_else_of_a_request_changes(fields: dict[str, Any], kind: Any) -> None:
    fields = {**fields, "max_completion_tokens": 7, "stream_options": {"include_usage": True}}
    fields.pop("max_tokens", None)
    kept = json.loads(suited(raw(fields), kind))
    special = {"max_completion_tokens", "max_tokens", "stream_options"}
    assert {k: v for k, v in kept.items() if k not in special} == {k: v for k, v in fields.items() if k not in special}
    assert kept.get("max_tokens", kept.get("max_completion_tokens")) == 7
    assert ("stream_options" in kept) == kind.takes_stream_options


@pytest.mark.parametrize(
    ("status", "body", "meant"),
    [
        (400, {"error": {"message": "Unrecognized request argument supplied: stream_options"}}, True),
        (422, {"detail": [{"loc": ["body", "stream_options", "include_usage"], "msg": "Extra inputs"}]}, True),
        (400, {"error": {"message": "Invalid temperature"}}, False),
        (500, {"error": {"message": "stream_options"}}, False),
        (404, {"error": {"message": "stream_options"}}, False),
    ],
)
def test_a_refused_stream_options_is_told_from_other_refusals(status: int, body: Any, meant: bool) -> None:
    assert means_stream_options(status, raw(body)) == meant


# --- Refusals ---


def refusal(body: Any, status: int = 400) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(openai_refusal(status, raw(body)))["error"]
    return error


def test_openais_own_form_passes_byte_for_byte() -> None:
    for body in (
        b'{"error": {"message":"m","type":"t","param":null,"code":null}}',
        b' {"error":{"message":"m","code":"c","more":[1]},"also":1}',
        b'{"error":{"message":"m"}}',
    ):
        assert openai_refusal(400, body) is body


@pytest.mark.parametrize(
    ("provider", "body", "error"),
    [
        (
            "mistral",
            {"object": "error", "message": "Invalid model: x", "type": "invalid_model", "param": None, "code": "1500"},
            {"message": "Invalid model: x", "type": "invalid_model", "param": None, "code": "1500"},
        ),
        (
            "mistral",
            {
                "object": "error",
                "message": {"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required"}]},
                "type": "invalid_request_error",
                "param": None,
                "code": None,
            },
            {
                "message": "messages: Field required",
                "type": "invalid_request_error",
                "param": "messages",
                "code": None,
            },
        ),
        (
            "pydantic",
            {
                "detail": [
                    {"loc": ["body", "tools", 0, "type"], "msg": "bad"},
                    {"loc": ["body", "n"], "msg": "too many"},
                ]
            },
            {
                "message": "tools.0.type: bad; n: too many",
                "type": "invalid_request_error",
                "param": "tools.0.type",
                "code": None,
            },
        ),
        (
            "fastapi",
            {"detail": "Not Found"},
            {"message": "Not Found", "type": "invalid_request_error", "param": None, "code": None},
        ),
        (
            "cohere",
            {"id": "123", "message": "too many tokens"},
            {"message": "too many tokens", "type": "invalid_request_error", "param": None, "code": None},
        ),
        (
            "xai",
            {"code": "Client specified an invalid argument", "error": "Model not found: grok-0"},
            {
                "message": "Model not found: grok-0",
                "type": "invalid_request_error",
                "param": None,
                "code": "Client specified an invalid argument",
            },
        ),
        (
            "openrouter",
            {"error": {"message": "No endpoints found", "code": 404, "metadata": {}}, "user_id": "u"},
            {"message": "No endpoints found", "type": "invalid_request_error", "param": None, "code": "404"},
        ),
        (
            "vllm",
            {"object": "error", "message": "too long", "type": "BadRequestError", "param": None, "code": 400},
            {"message": "too long", "type": "BadRequestError", "param": None, "code": "400"},
        ),
        (
            "gemini",
            [{"error": {"code": 400, "message": "API key not valid", "status": "INVALID_ARGUMENT"}}],
            {"message": "API key not valid", "type": "invalid_request_error", "param": None, "code": "400"},
        ),
        (
            "ollama",
            {"error": "model 'x' not found"},
            {"message": "model 'x' not found", "type": "invalid_request_error", "param": None, "code": None},
        ),
    ],
)
def test_each_providers_refusal_can_be_read_by_openais_clients(provider: str, body: Any, error: dict[str, Any]) -> None:
    assert refusal(body) == error, provider


def test_what_is_no_json_is_shown_as_it_is() -> None:
    assert json.loads(openai_refusal(400, b"upstream sent garbage\n"))["error"]["message"] == "upstream sent garbage"
    deep = b'{"error":' * 900 + b'"x"' + b"}" * 900
    assert "status 400" in json.loads(openai_refusal(400, deep))["error"]["message"]
    empty = json.loads(openai_refusal(503, b""))["error"]
    assert empty["message"] == "The provider answered with status 503 and said no more."
    assert empty["type"] == "server_error"
    assert json.loads(openai_refusal(429, b"\xff\xfe"))["error"]["type"] == "rate_limit_error"


@given(st.integers(400, 599), REFUSALS.map(raw) | st.binary(max_size=60))
def test_whatever_a_provider_says_becomes_an_error_that_can_be_read(status: int, body: bytes) -> None:
    error = json.loads(openai_refusal(status, body))["error"]
    assert isinstance(error["message"], str)
    assert error.get("code") is None or isinstance(error["code"], str)
    assert openai_refusal(status, openai_refusal(status, body)) == openai_refusal(status, body)
