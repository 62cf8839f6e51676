"""Whole answers and errors in Gemini's words, read and written."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.providers.translation import form
from apps.providers.translation.gemini import SPOKEN
from apps.providers.translation.spoken import Shown
from apps.providers.usage import Usage
from tests.translation import legal_gemini
from tests.translation.strategies import answers, json_values

SHOWN = Shown(id="0123456789abcdef" * 2, model="asked-for", created=1_767_225_600, input_tokens=5)
THOUGHTS = form.Request(model="m", messages=[], reasoning=form.Reasoning(shown=True))
PLAIN = form.Request(model="m", messages=[])


def read(*candidates: Any, **fields: Any) -> form.Answer:
    return SPOKEN.read_answer(json.dumps({"candidates": list(candidates), **fields}).encode())


def candidate(*parts: Any, **fields: Any) -> dict[str, Any]:
    return {"content": {"parts": list(parts), "role": "model"}, "finishReason": "STOP", **fields}


def written(answer: form.Answer, request: form.Request = THOUGHTS) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(SPOKEN.write_answer(answer, request, SHOWN))
    return body


@settings(max_examples=300, deadline=None)
@given(answers(choices=2))
def test_every_answer_is_one_that_all_clients_read_and_reads_back_as_it_was(answer: form.Answer) -> None:
    body = written(answer)
    heard = legal_gemini.Stream()
    legal_gemini.read(body, heard, same := set())
    assert same == {("asked-for", SHOWN.id)}
    assert heard.done
    back = SPOKEN.read_answer(json.dumps(body).encode())
    assert back.error is None
    for choice, found in zip(answer.choices, back.choices, strict=True):
        assert texts(found) == texts(choice)
        assert thoughts(found) == thoughts(choice)
        assert calls(found) == calls(choice)
        assert {"stop_sequence": "stop", "pause": "stop"}.get(choice.finish, choice.finish) == found.finish
    assert (back.usage is None) == (answer.usage is None)


def texts(choice: form.Choice) -> str:
    return "".join(part.text for part in choice.parts if isinstance(part, form.Text | form.Refusal))


def thoughts(choice: form.Choice) -> str:
    return "".join(part.text for part in choice.parts if isinstance(part, form.Thinking))


def calls(choice: form.Choice) -> list[Any]:
    found = [part for part in choice.parts if isinstance(part, form.ToolCall)]
    return [(call.id, call.name, json.loads(call.arguments)) for call in found]


WORDS = st.sampled_from(
    """
    candidates content parts text thought thoughtSignature functionCall name args finishReason STOP index usageMetadata
    promptTokenCount groundingMetadata groundingChunks groundingSupports segment startIndex endIndex partIndex web uri
    groundingChunkIndices logprobsResult chosenCandidates token inlineData mimeType data image/png promptFeedback
    """.split()  # noqa: SIM905  # readable
)


@settings(max_examples=400, deadline=None)
@given(st.fixed_dictionaries({"candidates": json_values(WORDS)}) | json_values(WORDS))
def test_whatever_a_provider_answers_is_read_or_no_answer(body: Any) -> None:
    try:
        answer = SPOKEN.read_answer(json.dumps(body).encode())
    except ValueError:
        return
    legal_gemini.read(written(answer), legal_gemini.Stream(), set()) if answer.choices else None


@given(st.binary(max_size=60))
def test_what_is_no_answer_is_a_value_error(data: bytes) -> None:
    for body in (data, b"[]", b"{}", b'{"usageMetadata":{}}', b"<html>"):
        with pytest.raises(ValueError):
            SPOKEN.read_answer(body)


# --- Reading ---


def test_an_answer_as_google_gives_it_is_read() -> None:
    answer = read(
        candidate(
            {"text": "Hm.", "thought": True},
            {"text": "One ", "thoughtSignature": "c2ln"},
            {"text": "two."},
            {"functionCall": {"id": "a", "name": "f", "args": {"x": 1}}, "thoughtSignature": "c2lnMg=="},
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
            index=0,
        ),
        usageMetadata={
            "promptTokenCount": 5,
            "toolUsePromptTokenCount": 2,
            "candidatesTokenCount": 3,
            "thoughtsTokenCount": 4,
            "totalTokenCount": 14,
            "serviceTier": "FLEX",
        },
        modelVersion="gemini-3-pro",
        responseId="r1",
    )
    assert answer == form.Answer(
        choices=[
            form.Choice(
                parts=[
                    form.Thinking(text="Hm.", signature="c2ln", origin="gemini"),
                    form.Text("One two."),
                    form.ToolCall(id="a", name="f", arguments='{"x":1}', signature="c2lnMg==", origin="gemini"),
                    form.Image(data="AAAA", media_type="image/png"),
                ],
                finish="tool_calls",
            )
        ],
        id="r1",
        model="gemini-3-pro",
        usage=Usage(input=7, output=7, reasoning=4, tier="flex"),
        service_tier="flex",
    )


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("MODEL_ARMOR", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("OTHER", "stop"),
        ("SOMETHING_NEW", "stop"),
        (None, "stop"),
    ],
)
def test_reasons_are_read(reason: str | None, finish: str) -> None:
    answer = read(candidate({"text": "x"}, finishReason=reason))
    assert (answer.choices[0].finish, answer.error) == (finish, None)


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "TOO_MANY_TOOL_CALLS", "NO_IMAGE"])
def test_an_answer_that_is_a_failure_is_one(reason: str) -> None:
    answer = read({"finishReason": reason, "finishMessage": "Oh."})
    assert answer.error == form.Failed(message="Oh.", type="UNAVAILABLE", code=reason.lower(), status=502)
    said = read({"finishReason": reason}).error
    assert said is not None
    assert reason in said.message


def test_a_blocked_prompt_is_an_answer_that_was_filtered() -> None:
    answer = SPOKEN.read_answer(b'{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":3}}')
    assert answer.choices == [form.Choice(parts=[form.Text("")], finish="content_filter")]
    assert answer.usage is not None


def test_an_error_in_an_answers_place_is_one() -> None:
    error = SPOKEN.read_answer(b'{"error":{"code":503,"message":"Oh.","status":"UNAVAILABLE"}}').error
    assert error == form.Failed(message="Oh.", type="UNAVAILABLE", code="unavailable", status=503)


def test_citations_are_for_characters_of_the_part_that_they_name() -> None:
    grounding = {
        "webSearchQueries": ["q"],
        "groundingChunks": [
            {"web": {"uri": "https://a.example", "title": "A"}},
            {"retrievedContext": {"title": "B", "text": "quoted"}},
        ],
        "groundingSupports": [
            {"segment": {"endIndex": 3}, "groundingChunkIndices": [0]},
            {"segment": {"startIndex": 1, "endIndex": 4, "partIndex": 1}, "groundingChunkIndices": [0, 1, 7]},
            {"segment": {"startIndex": 3, "endIndex": 900, "partIndex": 1}, "groundingChunkIndices": [1]},
        ],
    }
    answer = read(candidate({"text": "äb"}, {"text": "-ü-"}, groundingMetadata=grounding))
    (text,) = answer.choices[0].parts
    assert isinstance(text, form.Text)
    assert [(text.text[each.start : each.end], each.url, each.title, each.quoted) for each in text.citations] == [
        ("äb", "https://a.example", "A", ""),
        ("ü-", "https://a.example", "A", ""),
        ("ü-", "", "B", "quoted"),
        ("-", "", "B", "quoted"),
    ]
    assert answer.usage is None


def test_searches_are_counted() -> None:
    grounding = {"webSearchQueries": ["a", "b"]}
    answer = read(candidate({"text": "x"}, groundingMetadata=grounding), usageMetadata={"promptTokenCount": 1})
    assert answer.usage is not None
    assert answer.usage.searches == 2


# --- Writing ---


def test_an_answer_has_what_googles_client_wants() -> None:
    answer = form.Answer(
        choices=[
            form.Choice(
                parts=[form.Text("Hi"), form.ToolCall(id="a", name="f", arguments='{"x":1}')], finish="tool_calls"
            )
        ],
        usage=Usage(input=3, cache_read=2, output=4, reasoning=1),
    )
    assert written(answer) == {
        "candidates": [
            {
                "content": {
                    "parts": [{"text": "Hi"}, {"functionCall": {"name": "f", "args": {"x": 1}, "id": "a"}}],
                    "role": "model",
                },
                "finishReason": "STOP",
                "index": 0,
            }
        ],
        "usageMetadata": {
            "promptTokenCount": 5,
            "candidatesTokenCount": 3,
            "totalTokenCount": 9,
            "cachedContentTokenCount": 2,
            "thoughtsTokenCount": 1,
        },
        "modelVersion": "asked-for",
        "responseId": SHOWN.id,
    }


def test_thoughts_are_for_who_asked_for_them() -> None:
    answer = form.Answer(choices=[form.Choice(parts=[form.Thinking(text="Hm."), form.Text("Hi")])])
    shown, hidden = (written(answer, request)["candidates"][0]["content"]["parts"] for request in (THOUGHTS, PLAIN))
    assert shown == [{"text": "Hm.", "thought": True}, {"text": "Hi"}]
    assert hidden == [{"text": "Hi"}]


def test_an_answer_without_a_word_has_a_part_nevertheless() -> None:
    body = written(form.Answer(choices=[form.Choice(finish="content_filter")]))
    assert body["candidates"] == [
        {"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": "SAFETY", "index": 0}
    ]


@pytest.mark.parametrize(("finish", "reason"), [("tool_calls", "MALFORMED_FUNCTION_CALL"), ("length", "MAX_TOKENS")])
def test_a_call_whose_arguments_are_no_object_is_not_told_as_one(finish: Any, reason: str) -> None:
    call = form.ToolCall(id="a", name="f", arguments='{"x": ')
    (told,) = written(form.Answer(choices=[form.Choice(parts=[form.Text("x"), call], finish=finish)]))["candidates"]
    assert (told["content"]["parts"], told["finishReason"]) == ([{"text": "x"}], reason)


def test_citations_are_told_with_places_in_bytes() -> None:
    cited = form.Text("äö käse", citations=[form.Citation(url="https://a.example", title="A", start=3, end=7)])
    answer = form.Answer(choices=[form.Choice(parts=[form.Text("x"), form.Image(data="AAAA"), cited])])
    assert written(answer)["candidates"][0]["groundingMetadata"] == {
        "groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}],
        "groundingSupports": [
            {
                "segment": {"startIndex": 5, "endIndex": 10, "text": "käse", "partIndex": 2},
                "groundingChunkIndices": [0],
            }
        ],
    }
    back = SPOKEN.read_answer(json.dumps(written(answer)).encode()).choices[0].parts[-1]
    assert back == cited


def test_chances_of_tokens_are_told() -> None:
    chances = [
        {"token": "ä", "logprob": -0.5, "bytes": [195, 164], "top_logprobs": [{"token": "b", "logprob": -1.5}]},
    ]
    choice = form.Choice(parts=[form.Text("ä")], logprobs={"content": chances, "refusal": None})
    (told,) = written(form.Answer(choices=[choice]))["candidates"]
    assert told["logprobsResult"] == {
        "chosenCandidates": [{"token": "ä", "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "b", "logProbability": -1.5}]}],
    }


# --- Errors ---

GOOGLE = {
    "error": {
        "code": 400,
        "message": "Invalid value.",
        "status": "INVALID_ARGUMENT",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"},
            {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": "contents[0]"}]},
        ],
    }
}


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (
            GOOGLE,
            form.Failed(
                message="Invalid value.",
                type="INVALID_ARGUMENT",
                code="api_key_invalid",
                param="contents[0]",
                status=400,
            ),
        ),
        ([GOOGLE, 1], "Invalid value."),
        ({"error": "plain"}, "plain"),
        ({"error": {"message": ["x"], "details": [1, {"fieldViolations": 5}]}}, "The provider's answer failed."),
        ({"message": "flat"}, '{"message": "flat"}'),
        ("<html>\n  Bad   Gateway</html>", "<html> Bad Gateway</html>"),
        ("", "The provider answered with status 400."),
        (b"\xff\xfe", "\ufffd\ufffd"),
        ("x" * 9000, "x" * 2000),
        ({"error": {"message": "y" * 9000}}, "y" * 2000),
    ],
)
def test_every_refusal_says_something(body: Any, found: Any) -> None:
    raw = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    failed = SPOKEN.read_error(400, raw)
    assert failed.status == 400
    assert (failed.message if isinstance(found, str) else failed) == found


@given(st.binary(max_size=50) | json_values(WORDS).map(lambda value: json.dumps({"error": value}).encode()))
def test_no_refusal_is_an_error_of_ours(body: bytes) -> None:
    assert SPOKEN.read_error(500, body).message
