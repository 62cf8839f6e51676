"""Gemini's words, as pure functions: whatever is sent is read as decided on, or refused in Google's envelope."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core import endpoints, errors
from apps.core.errors import BadRequest, GatewayError, LimitExceeded
from apps.providers.dialects import gemini
from apps.providers.dialects.dialect import Listed

GENERATE = endpoints.GENERATE_CONTENT
NAMES = ["contents", "content", "requests", "generationConfig", "generation_config", "tools", "model", "x"]
NAMES += ["maxOutputTokens", "max_output_tokens", "candidateCount", "cachedContent", "generateContentRequest"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats(-9, 9) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=10,
)
CONFIG = st.fixed_dictionaries(
    {},
    optional={
        "maxOutputTokens": st.integers(0, 9999),
        "candidateCount": st.integers(1, 8),
        "temperature": st.floats(0, 2),
        "responseSchema": JSON,
    },
)
BODIES = st.fixed_dictionaries(
    {"contents": st.just([{"parts": [{"text": "Hi"}]}])},
    optional={"generationConfig": CONFIG | st.none(), "tools": st.lists(JSON, max_size=2), "labels": JSON},
)
ERRORS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, GatewayError) and kind is not LimitExceeded
]


def raw(body: Any) -> bytes:
    return json.dumps(body).encode()


@given(BODIES, st.integers(1, 5000))
def test_a_capped_body_asks_for_the_cap_and_else_for_the_same(body: dict[str, Any], cap: int) -> None:
    head = gemini.read_head(raw(body), GENERATE)
    capped = gemini.capping_output(raw(body), head, GENERATE, cap, "")
    assert gemini.read_head(capped, GENERATE).output_cap(GENERATE) == cap
    config = {**(body.get("generationConfig") or {}), "maxOutputTokens": cap}
    assert json.loads(capped) == {**body, "generationConfig": config}


@given(BODIES)
def test_a_body_of_a_usual_form_stays_as_it_is(body: dict[str, Any]) -> None:
    head = gemini.read_head(raw(body), GENERATE)
    kept = gemini.naming(gemini.unambiguous(raw(body)), head, "other")
    if "model" not in body:
        assert json.loads(kept) == body


@given(
    st.lists(st.tuples(st.sampled_from(["maxOutputTokens", "max\\u004futputTokens"]), st.integers(0, 99)), min_size=1)
)
def test_of_a_cap_that_is_there_several_times_the_one_that_was_read_is_left(caps: list[tuple[str, int]]) -> None:
    inner = ",".join(f'"{name}":{cap}' for name, cap in caps)
    body = f'{{"contents":[],"generationConfig":{{"maxOutputTokens":7}},"generationConfig":{{{inner}}}}}'.encode()
    head = gemini.read_head(body, GENERATE)
    assert head.output_cap(GENERATE) == caps[-1][1]
    assert gemini.unambiguous(body).count(b"utputTokens") == 1
    assert json.loads(gemini.unambiguous(body))["generationConfig"] == {"maxOutputTokens": caps[-1][1]}


@given(
    JSON.map(raw) | st.binary(max_size=40),
    st.sampled_from([GENERATE, endpoints.COUNT_CONTENT, endpoints.EMBED_CONTENT, endpoints.BATCH_EMBED_CONTENTS]),
)
def test_whatever_is_sent_is_read_or_refused(body: bytes, endpoint: str) -> None:
    try:
        head = gemini.read_head(body, endpoint)
    except BadRequest:
        return
    named = gemini.naming(gemini.unambiguous(body), head, "m")
    json.loads(named)
    assert head.answers >= 1


@pytest.mark.parametrize(
    ("more", "elsewhere"),
    [
        ({}, False),
        ({"cachedContent": "cachedContents/1"}, True),
        ({"cached_content": "cachedContents/1"}, True),
        ({"cachedContent": None}, False),
        ({"tools": [{"googleSearch": {}}]}, True),
        ({"tools": [{"google_search_retrieval": {}}]}, True),
        ({"tools": [{"urlContext": {}}]}, True),
        ({"tools": [{"functionDeclarations": [{"name": "f"}]}]}, False),
        ({"contents": [{"parts": [{"fileData": {"fileUri": "gs://a"}}]}]}, True),
        ({"contents": [{"parts": [{"inlineData": {"data": "AAAA"}}]}]}, False),
    ],
)
def test_what_only_the_provider_can_measure_is_known(more: dict[str, Any], elsewhere: bool) -> None:
    assert gemini.read_head(raw({"contents": [], **more}), GENERATE).points_elsewhere is elsewhere


def test_a_hidden_word_does_not_hide_a_file() -> None:
    body = b'{"contents":[{"parts":[{"file\\u0044ata":{"fileUri":"gs://a"}}]}]}'
    assert gemini.read_head(body, GENERATE).points_elsewhere
    assert not gemini.read_head(b'{"contents":[{"parts":[{"text":"\\u00e9"}]}]}', GENERATE).points_elsewhere


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_is_in_googles_envelope(kind: type[GatewayError]) -> None:
    error = json.loads(gemini.error_body(kind(), "req_1"))["error"]
    assert error["code"] == gemini.status(kind()) != 502
    assert error["status"].isupper()
    assert error["message"]
    assert error["details"][0]["reason"] == kind.code.upper()
    assert all(isinstance(value, str) for value in error["details"][0]["metadata"].values())
    event = gemini.error_event(kind(), GENERATE, 3, "req_1")
    assert event.startswith(b'data: {"error":')
    assert event.endswith(b"\n\n")
    assert event.count(b"\n") == 2


def test_a_limit_has_its_delay_beside_it() -> None:
    limit = LimitExceeded("Wait.", kind="requests", headers=((b"retry-after-ms", b"1500"),), details={"limit": 3})
    details = json.loads(gemini.error_body(limit))["error"]["details"]
    assert details[0]["metadata"] == {"limit": "3"}
    assert details[1] == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.5s"}


def test_an_array_stays_one_when_it_ends_in_an_error() -> None:
    assert len(json.loads(b"[" + gemini.array_error(GatewayError(), 0))) == 1
    assert len(json.loads(b"[{}" + gemini.array_error(GatewayError(), 1))) == 2


def test_a_list_of_models_says_what_is_known_of_each() -> None:
    models = [Listed("gemini-x", 0, "gemini", 1000, None), Listed("text-embed-x", 0, "gemini", None, None)]
    listed = json.loads(gemini.model_list(models, b""))["models"]
    assert listed[0]["name"] == "models/gemini-x"
    assert listed[0]["inputTokenLimit"] == 1000
    assert "outputTokenLimit" not in listed[0]
    assert listed[1]["supportedGenerationMethods"][0] == "embedContent"
    assert json.loads(gemini.model_body(models[0])) == listed[0]


def test_usage_of_a_whole_answer_is_read_and_rubbish_tells_nothing() -> None:
    grounding = {"webSearchQueries": ["a"]}
    answer = {
        "candidates": [{"groundingMetadata": grounding}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
        "modelVersion": "gemini-x",
    }
    read = gemini.read_answer(raw(answer))
    assert read.usage is not None
    assert (read.usage.input, read.usage.output, read.usage.searches, read.model) == (3, 2, 1, "gemini-x")
    for body in (b"", b"[1", b'{"usageMetadata": 5, "modelVersion": 7}', b"[]"):
        assert gemini.read_answer(body).usage is None
