"""Embeddings of the sandbox, through the official client."""

import math
from collections.abc import Sequence
from typing import Any

import openai
import pytest


def likeness(first: Sequence[float], second: Sequence[float]) -> float:
    return math.sumprod(first, second)


def test_vectors_are_of_length_one_and_always_the_same(client: openai.OpenAI) -> None:
    first, second = (
        client.embeddings.create(model="sandbox-embed", input=["Where is the gate?", "Where is the gate?"])
        for _ in range(2)
    )
    vectors = [each.embedding for each in (*first.data, *second.data)]
    assert len(vectors[0]) == 1536
    assert math.isclose(likeness(vectors[0], vectors[0]), 1, rel_tol=1e-5)
    assert all(vector == vectors[0] for vector in vectors)
    assert (first.usage.prompt_tokens, first.usage.total_tokens) == (10, 10)
    assert [each.index for each in first.data] == [0, 1]


def test_similar_texts_lie_closer_than_others(client: openai.OpenAI) -> None:
    asked = ["How do I reset my password?", "how can I reset the password", "The harvest was good this year."]
    one, like, other = (each.embedding for each in client.embeddings.create(model="sandbox-embed", input=asked).data)
    assert likeness(one, like) > 0.6 > 0.3 > likeness(one, other)


def test_base64_and_floats_are_the_same_numbers(client: openai.OpenAI) -> None:
    encoded = client.embeddings.create(model="sandbox-embed", input="gate")  # the client asks for base64 by itself
    floats = client.embeddings.create(model="sandbox-embed", input="gate", encoding_format="float")
    assert encoded.data[0].embedding == pytest.approx(floats.data[0].embedding, abs=1e-7)


def test_dimensions_are_as_asked(client: openai.OpenAI) -> None:
    vector = client.embeddings.create(model="sandbox-embed", input="gate", dimensions=256).data[0].embedding
    assert len(vector) == 256
    assert math.isclose(likeness(vector, vector), 1, rel_tol=1e-5)


def test_token_arrays_and_blank_texts_embed_too(client: openai.OpenAI) -> None:
    one = client.embeddings.create(model="sandbox-embed", input=[1, 2, 3])
    two = client.embeddings.create(model="sandbox-embed", input=[[1, 2, 3], [4]])
    blank = client.embeddings.create(model="sandbox-embed", input=" ").data[0].embedding
    assert (one.usage.prompt_tokens, two.usage.prompt_tokens) == (3, 4)
    assert one.data[0].embedding == two.data[0].embedding
    assert math.isclose(likeness(blank, blank), 1)


@pytest.mark.parametrize(
    ("change", "status", "param", "code"),
    [
        ({"input": None}, 400, "input", "missing_required_parameter"),
        ({"input": []}, 400, "input", "invalid_value"),
        ({"input": ""}, 400, "input", "invalid_value"),
        ({"input": ["a", 1]}, 400, "input[1]", "invalid_type"),
        ({"input": {"text": "a"}}, 400, "input", "invalid_type"),
        ({"input": "x" * 40_000}, 400, "input", "context_length_exceeded"),
        ({"dimensions": 0}, 400, "dimensions", "invalid_value"),
        ({"encoding_format": "hex"}, 400, "encoding_format", "invalid_value"),
        ({"model": "sandbox-chat"}, 404, "model", None),
    ],
)
def test_bad_input_is_refused_in_openais_words(
    client: openai.OpenAI, change: dict[str, Any], status: int, param: str, code: str | None
) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        client.post("/embeddings", body={"model": "sandbox-embed", "input": "a", **change}, cast_to=object)
    assert (refused.value.status_code, refused.value.param, refused.value.code) == (status, param, code)
