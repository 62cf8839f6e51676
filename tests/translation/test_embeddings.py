"""Vectors of texts, asked for in OpenAI's or Gemini's words and given in the other's."""

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import types
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import OpenAI

from apps.core.errors import BadRequest, InvalidType, InvalidValue, MissingParameter, UnsupportedParameter
from apps.providers.translation.embeddings import GEMINI, OPENAI, EmbeddingsAnswer, EmbeddingsRequest, SpokenEmbeddings
from apps.providers.translation.losses import Losses
from apps.providers.translation.upstream import Upstream
from apps.providers.usage import Usage
from tests.support.provider import FakeProvider, Received, Script
from tests.translation.strategies import TEXTS, json_values

GOOGLE = Upstream(provider="gemini", model="gemini-embedding-001")
OPEN = Upstream(provider="openai", model="text-embedding-3-small")
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
VECTORS = st.lists(st.lists(FLOATS, min_size=1, max_size=4), min_size=1, max_size=3)


def strict() -> Losses:
    return Losses("strict", "Gemini's batchEmbedContents")


def read(spoken: SpokenEmbeddings, body: Any, model: str = "m") -> EmbeddingsRequest:
    return spoken.read_request(json.dumps(body).encode(), model)


def to_gemini(body: Any, losses: Losses | None = None) -> dict[str, Any]:
    request = read(OPENAI, body)
    found: dict[str, Any] = json.loads(GEMINI.write_request(request, GOOGLE, losses or strict()))
    return found


def to_openai(body: Any, losses: Losses | None = None) -> dict[str, Any]:
    request = read(GEMINI, body)
    found: dict[str, Any] = json.loads(OPENAI.write_request(request, OPEN, losses or strict()))
    return found


# --- Requests ---


@pytest.mark.parametrize("texts", [["one"], ["one", "two ä", ""]])
def test_each_text_is_a_request_of_its_own(texts: list[str]) -> None:
    body = to_gemini({"input": texts, "dimensions": 256, "encoding_format": "base64", "model": "asked-for"})
    assert body == {
        "requests": [
            {
                "model": "models/gemini-embedding-001",
                "outputDimensionality": 256,
                "content": {"parts": [{"text": text}]},
            }
            for text in texts
        ]
    }
    assert to_gemini({"input": texts}) == to_gemini({"input": texts[0] if len(texts) == 1 else texts, "user": None})


@pytest.mark.parametrize("tokens", [[1, 2], [[1, 2], [3]], ["a", 1]])
def test_token_ids_are_refused_since_no_other_model_knows_them(tokens: Any) -> None:
    with pytest.raises(UnsupportedParameter) as refused:
        to_gemini({"input": tokens}, Losses("drop", "Gemini"))
    assert refused.value.param == "input"


def test_an_end_user_is_a_hint() -> None:
    losses = Losses("warn", "Gemini")
    to_gemini({"input": "a", "user": "u"}, losses)
    assert losses.names == ["user"]
    assert read(OPENAI, {"input": "a", "new": 1}).left == ["new"]


def test_one_content_and_many_become_inputs() -> None:
    one = {"model": "models/x", "content": {"parts": [{"text": "a"}, {"text": "b"}]}, "output_dimensionality": 8}
    whole = {"model": "text-embedding-3-small", "encoding_format": "float", "dimensions": 8}
    assert to_openai(one) == {**whole, "input": ["a\nb"]}
    assert to_openai({"requests": [one, one]}) == {**whole, "input": ["a\nb", "a\nb"]}
    assert read(GEMINI, one).single
    assert not read(GEMINI, {"requests": [one]}).single


def test_what_vectors_are_for_is_a_hint() -> None:
    losses = Losses("warn", "OpenAI's embeddings")
    body = {"content": {"parts": [{"text": "a"}]}, "taskType": "retrieval_document", "title": "T"}
    assert read(GEMINI, body).task == "RETRIEVAL_DOCUMENT"
    to_openai(body, losses)
    assert losses.names == ["taskType", "title"]


def test_a_configuration_is_read_where_newer_clients_put_it() -> None:
    config = {"taskType": "CLUSTERING", "outputDimensionality": 4, "autoTruncate": True}
    request = read(GEMINI, {"requests": [{"content": {"parts": [{"text": "a"}]}, "embedContentConfig": config}] * 2})
    assert (request.task, request.dimensions) == ("CLUSTERING", 4)
    assert request.left == ["requests[0].embedContentConfig.autoTruncate"]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"content": {"parts": [{"inlineData": {}}]}}, "content.parts[0]"),
        (
            {
                "requests": [
                    {"content": {"parts": [{"text": "a"}]}, "outputDimensionality": size} for size in (256, 512)
                ]
            },
            "requests",
        ),
    ],
)
def test_what_cannot_be_asked_for_is_told(body: Any, path: str) -> None:
    assert list(read(GEMINI, body).fatal) == [path]


@pytest.mark.parametrize(
    ("spoken", "body", "error", "param"),
    [
        (OPENAI, {}, MissingParameter, "input"),
        (OPENAI, {"input": []}, InvalidValue, "input"),
        (OPENAI, {"input": {"a": 1}}, InvalidType, "input"),
        (OPENAI, {"input": [True]}, InvalidType, "input"),
        (OPENAI, {"input": "a", "dimensions": "8"}, InvalidType, "dimensions"),
        (OPENAI, {"input": "a", "encoding_format": "int8"}, InvalidValue, "encoding_format"),
        (GEMINI, {}, MissingParameter, "content"),
        (GEMINI, {"content": "a"}, InvalidType, "content"),
        (GEMINI, {"requests": []}, InvalidValue, "requests"),
        (GEMINI, {"requests": [{}]}, MissingParameter, "requests[0].content"),
        (
            GEMINI,
            {"requests": [{"content": {"parts": [{"text": 1}]}}]},
            InvalidType,
            "requests[0].content.parts[0].text",
        ),
    ],
)
def test_a_mistake_is_named(spoken: SpokenEmbeddings, body: Any, error: type[BadRequest], param: str) -> None:
    with pytest.raises(error) as refused:
        read(spoken, body)
    assert refused.value.param == param


WORDS = st.sampled_from(
    ["input", "dimensions", "content", "parts", "text", "requests", "taskType", "embedContentConfig"]
)


@settings(max_examples=200, deadline=None)
@given(json_values(WORDS), st.sampled_from([OPENAI, GEMINI]))
def test_whatever_is_sent_is_read_or_refused(body: Any, spoken: SpokenEmbeddings) -> None:
    try:
        request = read(spoken, body)
    except BadRequest:
        return
    assert request.texts or request.tokens


@settings(max_examples=200, deadline=None)
@given(json_values(st.sampled_from(["data", "embedding", "index", "embeddings", "values", "usage", "usageMetadata"])))
def test_whatever_is_answered_is_read_or_no_answer(body: Any) -> None:
    for spoken in (OPENAI, GEMINI):
        try:
            spoken.read_answer(json.dumps(body).encode())
        except ValueError:
            continue


# --- Answers ---


@given(VECTORS, st.booleans(), st.booleans())
def test_vectors_pass_from_one_to_the_other_unchanged(
    vectors: list[list[float]], in_base64: bool, single: bool
) -> None:
    request = EmbeddingsRequest(model="m", texts=[], base64=in_base64, single=single and len(vectors) == 1)
    answer = EmbeddingsAnswer(vectors=vectors, usage=Usage(input=3))
    for spoken in (OPENAI, GEMINI):
        assert spoken.read_answer(spoken.write_answer(answer, request, "m")).vectors == vectors


def test_an_openai_client_gets_base64_of_little_endian_floats_if_it_wants_it() -> None:
    request = read(OPENAI, {"input": "a", "encoding_format": "base64"})
    answer = GEMINI.read_answer(b'{"embeddings":[{"values":[0.5,-2]}]}')
    assert answer.usage is None  # it is nobody's to say but the gateway's
    body = json.loads(OPENAI.write_answer(answer, request, "asked-for"))
    assert body == {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": 0,
                "embedding": base64.b64encode(struct.pack("<2f", 0.5, -2.0)).decode(),
            }
        ],
        "model": "asked-for",
        "usage": {"prompt_tokens": 0, "total_tokens": 0},
    }


def test_vectors_are_in_the_order_of_their_texts() -> None:
    data = [{"index": 1, "embedding": [2]}, {"index": 0, "embedding": [1]}]
    body = {"data": data, "usage": {"prompt_tokens": 7, "total_tokens": 7}, "model": "text-embedding"}
    answer = OPENAI.read_answer(json.dumps(body).encode())
    assert answer == EmbeddingsAnswer(vectors=[[1], [2]], usage=Usage(input=7), model="text-embedding")


# --- The official clients ---


@pytest.fixture
def upstream() -> Iterator[FakeProvider]:
    with FakeProvider() as upstream:
        yield upstream


def answering(spoken: SpokenEmbeddings, asked: list[EmbeddingsRequest]) -> Any:
    """Answers with one vector per text, in the client's words."""

    def script(received: Received) -> Script:
        request = spoken.read_request(received.body, "m")
        asked.append(request)
        vectors = [[float(index), 0.25] for index, _ in enumerate(request.texts)]
        body = spoken.write_answer(EmbeddingsAnswer(vectors=vectors, usage=Usage(input=3)), request, "m")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return Script(head.encode(), [body], framing="length")

    return script


def test_openais_client_reads_them(upstream: FakeProvider) -> None:
    asked: list[EmbeddingsRequest] = []
    upstream.replies(answering(OPENAI, asked), always=True)
    with OpenAI(base_url=f"{upstream.url}/v1", api_key="x") as client:
        answer = client.embeddings.create(model="m", input=["a", "b"], dimensions=2)
        plain = client.embeddings.create(model="m", input="a", encoding_format="float")
    assert [each.embedding for each in answer.data] == [[0.0, 0.25], [1.0, 0.25]]
    assert answer.usage.prompt_tokens == 3
    assert [each.embedding for each in plain.data] == [[0.0, 0.25]]
    assert [request.base64 for request in asked] == [True, False]
    assert [request.left for request in asked] == [[], []]


def test_googles_client_reads_them(upstream: FakeProvider) -> None:
    asked: list[EmbeddingsRequest] = []
    upstream.replies(answering(GEMINI, asked), always=True)
    with genai.Client(api_key="x", http_options=types.HttpOptions(base_url=upstream.url)) as client:
        answer = client.models.embed_content(
            model="m",
            contents=["a", "b"],
            config=types.EmbedContentConfig(task_type="CLUSTERING", output_dimensionality=2),
        )
    assert answer.embeddings is not None
    assert [each.values for each in answer.embeddings] == [[0.0, 0.25], [1.0, 0.25]]
    assert asked == [EmbeddingsRequest(model="m", texts=["a", "b"], task="CLUSTERING", dimensions=2)]


@given(st.lists(TEXTS, min_size=1, max_size=3), st.none() | st.integers(1, 3072))
def test_a_request_survives_the_way_there_and_back(texts: list[str], size: int | None) -> None:
    body = to_gemini({"input": texts, "dimensions": size})
    back = to_openai(body)
    assert (back["input"], back.get("dimensions")) == (texts, size)
