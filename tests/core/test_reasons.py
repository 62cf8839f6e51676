"""Each provider's way of saying that what was asked is barred there, or too long; and what only looks like it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.providers.reasons import answer_reason, refusal_reason, stream_reason


def error(message: str, **fields: Any) -> bytes:
    return json.dumps({"error": {"message": message, **fields}}).encode()


TOO_LONG = [
    ("openai", 400, "context_length_exceeded", error("Your input exceeds the context window of this model.")),
    ("openai, older", 400, "", error("This model's maximum context length is 8192 tokens. However, your messages …")),
    ("anthropic", 400, "invalid_request_error", error("prompt is too long: 210000 tokens > 200000 maximum")),
    (
        "anthropic, with its answer",
        400,
        "invalid_request_error",
        error("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"),
    ),
    (
        "gemini",
        400,
        "INVALID_ARGUMENT",
        error("The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."),
    ),
    (
        "mistral",
        422,
        "",
        b'{"message":"Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length"}',
    ),
    (
        "cohere",
        400,
        "",
        b'{"message":"too many tokens: total number of tokens in the prompt cannot exceed 4081"}',
    ),
    ("groq", 400, "context_length_exceeded", error("Please reduce the length of the messages or completion.")),
    ("deepseek", 400, "invalid_request_error", error("This model's maximum context length is 65536 tokens.")),
    (
        "xai",
        400,
        "",
        b'{"error":"This model\'s maximum prompt length is 131072 but the request contains 140000 tokens."}',
    ),
    ("together", 422, "", error("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193.")),
    ("fireworks", 400, "", error("The prompt is too long: 9000, model maximum context length: 8191")),
    ("openrouter", 400, "", error("This endpoint's maximum context length is 4096 tokens.")),
    ("cerebras", 400, "context_length_exceeded", error("Please reduce the length of the messages.")),
    ("moonshot", 400, "", error("Invalid request: Your request exceeded model token limit: 8192")),
    ("vllm", 400, "", b'{"object":"error","message":"This model\'s maximum context length is 4096 tokens."}'),
    ("llama.cpp", 400, "exceed_context_size_error", error("the request exceeds the available context size")),
]
BARRED = [
    (
        "azure_openai",
        400,
        "content_filter",
        error("The response was filtered due to the prompt triggering Azure OpenAI's content management policy."),
    ),
    ("openai", 400, "invalid_prompt", error("Invalid prompt: your prompt was flagged.")),
    ("openai, pictures", 400, "moderation_blocked", error("Your request was rejected by the safety system.")),
    ("anthropic", 400, "invalid_request_error", error("Output blocked by content filtering policy")),
    ("deepseek", 400, "invalid_request_error", error("Content Exists Risk")),
    ("moonshot", 400, "content_filter", error("The request was rejected because it was considered high risk")),
    ("openrouter", 403, "", error("… requires moderation …", code=403, metadata={"flagged_input": "…"})),
]


@pytest.mark.parametrize(
    ("who", "status", "code", "body"), TOO_LONG, ids=lambda value: value if isinstance(value, str) else ""
)
def test_that_a_prompt_is_too_long_is_understood_of_each(who: str, status: int, code: str, body: bytes) -> None:
    assert refusal_reason(status, code, body) == "context_length"


@pytest.mark.parametrize(
    ("who", "status", "code", "body"), BARRED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_that_a_content_is_barred_is_understood_of_each(who: str, status: int, code: str, body: bytes) -> None:
    assert refusal_reason(status, code, body) == "content_filter"


@pytest.mark.parametrize(
    ("status", "code", "body"),
    [
        (400, "invalid_request_error", error("Invalid value for 'temperature'")),
        (400, "invalid_value", error("max_tokens is too large: 100000. This model supports at most 4096")),
        (413, "rate_limit_exceeded", error("Request too large for model on tokens per minute (TPM): Limit 6000")),
        (403, "content_filter", error("Your key may not use this model")),  # a key's, unless it says more
        (403, "", error("The prompt is too long for a key like yours")),
        (429, "content_filter", error("too many")),
        (500, "context_length_exceeded", error("maximum context length")),
        (401, "", error("prompt is too long")),
    ],
)
def test_other_refusals_have_no_such_reason(status: int, code: str, body: bytes) -> None:
    assert refusal_reason(status, code, body) == ""


CHAT = {"choices": [{"finish_reason": "content_filter", "message": {"role": "assistant", "content": None}}]}
SAID = {"choices": [{"finish_reason": "content_filter", "message": {"role": "assistant", "content": "It is"}}]}
ANSWERS = [
    ("openai", CHAT, True),
    ("openai", SAID, False),
    ("openai", {"choices": [*CHAT["choices"], {"finish_reason": "stop", "message": {"content": "ok"}}]}, False),
    ("openai", {"choices": [{"finish_reason": "stop", "message": {"content": 'she said "content_filter"'}}]}, False),
    ("openai", {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}, "output": []}, True),
    (
        "openai",
        {
            "incomplete_details": {"reason": "content_filter"},
            "output": [{"type": "message", "content": [{"type": "output_text", "text": "It"}]}],
        },
        False,
    ),
    ("anthropic", {"type": "message", "stop_reason": "refusal", "content": []}, True),
    ("anthropic", {"type": "message", "stop_reason": "refusal", "content": [{"type": "text", "text": "I"}]}, False),
    ("anthropic", {"type": "message", "stop_reason": "end_turn", "content": []}, False),
    ("gemini", {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {}}, True),
    ("gemini", {"candidates": [{"finishReason": "SAFETY", "index": 0}]}, True),
    ("gemini", {"candidates": [{"finishReason": "SAFETY", "content": {"parts": [{"text": "It"}]}}]}, False),
    ("gemini", {"candidates": [{"finishReason": "STOP", "content": {"parts": [{"text": '"SAFETY"'}]}}]}, False),
    ("unheard-of", CHAT, False),
]


@pytest.mark.parametrize(("dialect", "answer", "is_barred"), ANSWERS)
def test_an_answer_that_says_nothing_is_told_from_one_that_says_something(
    dialect: str, answer: dict[str, Any], is_barred: bool
) -> None:
    wanted = "content_filter" if is_barred else ""
    assert answer_reason(dialect, json.dumps(answer).encode()) == wanted
    assert stream_reason(dialect, b"data: " + json.dumps(answer).encode() + b"\n\n") == wanted


STREAMS = [
    (
        "openai",
        [{"choices": [], "prompt_filter_results": []}, {"choices": [{"delta": {"role": "assistant"}}]}, CHAT],
        True,
    ),
    ("openai", [{"choices": [{"delta": {"content": "It"}}]}, CHAT], False),
    ("openai", [CHAT, {"choices": [], "usage": {"prompt_tokens": 1}}], True),
    (
        "openai",
        [
            {"type": "response.created", "response": {}},
            {
                "type": "response.incomplete",
                "response": {"incomplete_details": {"reason": "content_filter"}, "output": []},
            },
        ],
        True,
    ),
    (
        "openai",
        [
            {"type": "response.output_text.delta", "delta": "It"},
            {"type": "response.incomplete", "response": {"incomplete_details": {"reason": "content_filter"}}},
        ],
        False,
    ),
    (
        "anthropic",
        [
            {"type": "message_start", "message": {"content": [], "stop_reason": None}},
            {"type": "message_delta", "delta": {"stop_reason": "refusal"}},
            {"type": "message_stop"},
        ],
        True,
    ),
    (
        "anthropic",
        [
            {"type": "message_start", "message": {}},
            {"type": "content_block_start", "content_block": {"type": "text", "text": ""}},
            {"type": "message_delta", "delta": {"stop_reason": "refusal"}},
        ],
        False,
    ),
]


@pytest.mark.parametrize(("dialect", "events", "is_barred"), STREAMS)
def test_what_opens_a_stream_says_nothing_yet(dialect: str, events: list[dict[str, Any]], is_barred: bool) -> None:
    raw = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in events)
    assert stream_reason(dialect, raw) == ("content_filter" if is_barred else "")
    if dialect == "openai":
        assert stream_reason(dialect, raw + b"data: [DONE]\n\n") == ("content_filter" if is_barred else "")


def test_a_stream_that_also_says_something_is_an_answer() -> None:
    first = b'data: {"candidates":[{"content":{"parts":[{"text":"Hi"}]}}]}\r\n\r\n'
    last = b'data: {"candidates":[{"finishReason":"SAFETY"}]}\r\n\r\n'
    assert stream_reason("gemini", first + last) == ""
    assert stream_reason("gemini", last) == "content_filter"


WORDS = ["choices", "finish_reason", "message", "content", "stop_reason", "candidates", "finishReason", "parts"]
WORDS += ["promptFeedback", "blockReason", "incomplete_details", "reason", "output"]
JSON = st.recursive(
    st.none() | st.integers() | st.sampled_from(["content_filter", "refusal", "SAFETY", "stop"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from(["openai", "anthropic", "gemini"]), JSON, st.binary(max_size=30))
def test_any_answer_is_looked_into(dialect: str, answer: Any, rubbish: bytes) -> None:
    body = json.dumps(answer).encode()
    for part in (body, rubbish, body + rubbish):
        assert answer_reason(dialect, part) in {"", "content_filter"}
        assert stream_reason(dialect, b"data: " + part) in {"", "content_filter"}
        assert refusal_reason(400, "", part) in {"", "content_filter", "context_length"}
