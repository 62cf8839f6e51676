"""What nobody tells is estimated from what passed, marked so, and never nothing where something was written."""

import json
from typing import Any

import pytest

from apps.gateway.streams import ChatMeter, ResponsesMeter, StreamMeter
from apps.providers.usage import Usage, completed, written_size, written_tokens


def never() -> int:
    raise AssertionError("nobody needs this estimate")


def chat(text: str | None = None, **more: Any) -> bytes:
    delta = {} if text is None else {"content": text}
    choices = [] if text is None and "usage" in more else [{"index": 0, "delta": delta, "finish_reason": None}]
    data = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-test", "choices": choices, **more}
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def response(kind: str, **more: Any) -> bytes:
    return (
        f"event: response.{kind}\ndata: ".encode() + json.dumps({"type": f"response.{kind}", **more}).encode() + b"\n\n"
    )


def fed(meter: StreamMeter, *chunks: bytes) -> StreamMeter:
    for chunk in chunks:
        meter.feed(chunk)
    return meter


# --- Whole answers ---


def test_what_the_provider_tells_is_not_estimated() -> None:
    told = Usage(input=0, output=0, tier="flex")
    assert completed(told, tier="", input_tokens=never, output_tokens=never) == told


def test_only_the_side_that_is_not_told_is_estimated() -> None:
    half = completed(Usage(input=5), tier="", input_tokens=never, output_tokens=lambda: 7)
    assert half == Usage(input=5, output=7, estimated=True)
    other = completed(Usage(output=5, cache_read=3), tier="", input_tokens=lambda: 10, output_tokens=never)
    assert other == Usage(input=7, cache_read=3, output=5, estimated=True)


def test_where_nothing_is_written_no_output_is_made_up() -> None:
    assert completed(Usage(input=5), tier="", input_tokens=never, output_tokens=None) == Usage(input=5)
    nothing_told = completed(None, tier="", input_tokens=lambda: 9, output_tokens=None)
    assert nothing_told == Usage(input=9, estimated=True)


def test_the_tier_is_known_even_where_counts_are_not() -> None:
    usage = completed(None, tier="priority", input_tokens=lambda: 9, output_tokens=lambda: 2)
    assert usage == Usage(input=9, output=2, tier="priority", estimated=True)


@pytest.mark.parametrize(
    ("answer", "tokens"),
    [
        ({"choices": [{"message": {"content": "x" * 40, "role": "assistant"}}], "model": "m" * 400}, 10),
        ({"choices": [{"message": {"content": None, "tool_calls": [{"function": {"arguments": "x" * 8}}]}}]}, 2),
        ({"choices": [{"message": {"content": "x", "reasoning_content": "x" * 39}}]}, 10),
        ({"output": [{"content": [{"type": "output_text", "text": "x" * 41}]}], "instructions": "y" * 400}, 11),
        ({"choices": [{"message": {"content": [{"type": "text", "text": "é" * 4}]}}]}, 2),
    ],
)
def test_four_bytes_of_what_the_model_wrote_are_a_token(answer: dict[str, Any], tokens: int) -> None:
    assert written_tokens(json.dumps(answer).encode()) == tokens


def test_an_answer_without_text_that_we_know_counts_by_its_size() -> None:
    assert written_tokens(b'{"says": "something"}') == 6
    assert written_tokens(b"no JSON") == 2


def test_a_deep_answer_is_no_error() -> None:
    deep: Any = "x" * 4
    for _ in range(500):
        deep = [deep]
    assert written_size({"choices": {"content": deep}}) == 4


# --- Streams ---


def test_a_stream_that_is_cut_is_billed_for_what_passed() -> None:
    meter = fed(ChatMeter(), *[chat("word ") for _ in range(50)])
    assert meter.spent(lambda: 11) == Usage(input=11, output=meter.estimated_output(), estimated=True)
    assert 50 <= meter.estimated_output() <= 70


def test_long_pieces_of_text_count_by_their_length_from_the_first_on() -> None:
    meter = fed(ChatMeter(), chat("x" * 4_000), chat("x" * 4_000))
    assert meter.estimated_output() == 2_000
    meter = fed(ResponsesMeter(), response("created", response={"instructions": "y" * 9_000}))
    fed(meter, *[response("output_text.delta", delta="x" * 400) for _ in range(10)])
    assert meter.estimated_output() == 1_000


def test_padding_is_not_text() -> None:
    chunks = [chat("a" * (8 + n % 4), obfuscation="p" * (8 - n % 4)) for n in range(60)]
    assert 55 <= fed(ChatMeter(), *chunks).estimated_output() <= 65
    long = fed(ChatMeter(), *[chat("x" * 400, obfuscation="p") for _ in range(10)])
    assert 900 <= long.estimated_output() <= 1_000


def test_one_token_is_never_for_free() -> None:
    assert fed(ChatMeter(), chat("")).spent(lambda: 3) == Usage(input=3, output=1, estimated=True)
    assert fed(ResponsesMeter(), response("output_text.delta", delta="x")).estimated_output() == 1


def test_waiting_in_the_providers_queue_is_not_writing() -> None:
    meter = fed(ChatMeter(), *[b": keep-alive\n\n"] * 500)
    assert meter.estimated_output() == 0
    fed(meter, chat("Hi"), chat("!"))
    assert 1 <= meter.estimated_output() <= 2


def test_text_that_is_told_again_at_the_end_of_an_item_counts_once() -> None:
    text = "x" * 400
    meter = fed(ResponsesMeter(), response("created", response={"id": "resp_1"}))
    fed(meter, *[response("output_text.delta", delta=text) for _ in range(10)])
    before = meter.estimated_output()
    fed(meter, response("output_text.done", text=text * 10))
    fed(meter, response("content_part.done", part={"type": "output_text", "text": text * 10}))
    fed(meter, response("output_item.done", item={"content": [{"type": "output_text", "text": text * 10}]}))
    assert meter.estimated_output() == before
    assert not meter.complete


def test_a_picture_on_its_way_is_no_text() -> None:
    meter = fed(ResponsesMeter(), *[response("output_text.delta", delta="word") for _ in range(5)])
    before = meter.estimated_output()
    fed(meter, response("image_generation_call.partial_image", partial_image_b64="A" * 40_000))
    assert meter.estimated_output() == before


def test_an_event_that_is_cut_off_but_was_passed_on_is_not_for_free() -> None:
    meter = ChatMeter()
    event = chat("Hello").rstrip()
    assert meter.feed(event) + meter.finish() == event
    assert meter.spent(lambda: 3) == Usage(input=3, output=1, estimated=True)


@pytest.mark.parametrize("size", [1, 7, 100])
def test_an_estimate_does_not_depend_on_how_the_stream_is_cut(size: int) -> None:
    raw = b"".join([chat(""), *[chat("some words here ") for _ in range(40)]])
    whole = fed(ChatMeter(), raw).estimated_output()
    pieces = fed(ChatMeter(), *[raw[at : at + size] for at in range(0, len(raw), size)])
    assert pieces.estimated_output() == whole == 160


def test_half_an_event_counts_when_it_is_whole() -> None:
    meter = fed(ChatMeter(), *[chat("word") for _ in range(5)])
    before = meter.estimated_output()
    event = chat("x" * 4_000)
    assert fed(meter, event[:3_000]).estimated_output() == before
    assert fed(meter, event[3_000:]).estimated_output() >= before + 900


def test_a_stream_that_told_its_usage_is_billed_by_it() -> None:
    told = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    whole = fed(ChatMeter(), chat("x" * 900), chat(usage=told), b"data: [DONE]\n\n")
    assert whole.spent(never) == Usage(input=5, output=2)
    cut_after_usage = fed(ChatMeter(), chat("x" * 900), chat(usage=told))
    assert cut_after_usage.spent(never) == Usage(input=5, output=2)


def test_what_passed_after_the_last_usage_of_a_cut_stream_is_not_for_free() -> None:
    start = {"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5}
    meter = fed(ChatMeter(), chat("", usage=start), *[chat("word") for _ in range(30)])
    usage = meter.spent(never)
    assert (usage.input, usage.estimated) == (5, True)
    assert (usage.output or 0) >= 30
    continuous = fed(
        ChatMeter(), *[chat("word", usage={"prompt_tokens": 5, "completion_tokens": n}) for n in range(1, 31)]
    )
    assert continuous.spent(never) == Usage(input=5, output=30)


def test_half_a_usage_is_completed() -> None:
    meter = fed(ChatMeter(), chat("x" * 40), chat(usage={"prompt_tokens": 5}), b"data: [DONE]\n\n")
    assert meter.spent(never) == Usage(input=5, output=10, estimated=True)


# --- What else a stream tells ---


@pytest.mark.parametrize(
    ("said", "tier"), [("default", ""), ("fast", "priority"), ("flex", "flex"), (None, ""), (5, "")]
)
def test_a_chat_stream_names_its_tier(said: object, tier: str) -> None:
    told = {"prompt_tokens": 5, "completion_tokens": 2}
    many = [chat("x") for _ in range(9)]  # so that the last event is all that names it
    meter = fed(ChatMeter(), *many, chat(usage=told, service_tier=said), b"data: [DONE]\n\n")
    assert meter.spent(never) == Usage(input=5, output=2, tier=tier)


def test_a_cut_chat_stream_has_the_tier_of_its_first_event() -> None:
    meter = fed(ChatMeter(), chat("x", service_tier="flex"), chat("y", service_tier="flex"))
    assert meter.spent(lambda: 3) == Usage(input=3, output=1, tier="flex", estimated=True)


def test_the_tier_that_was_served_counts_not_the_one_that_was_asked_for() -> None:
    meter = fed(ResponsesMeter(), response("created", response={"service_tier": "priority", "usage": None}))
    fed(meter, *[response("output_text.delta", delta="x")] * 9)
    assert meter.tier == "priority"
    spent = {"input_tokens": 4, "output_tokens": 2, "total_tokens": 6}
    fed(meter, response("completed", response={"service_tier": "default", "usage": spent, "output": []}))
    assert meter.spent(never) == Usage(input=4, output=2)


def test_searches_of_a_responses_stream_are_counted() -> None:
    spent = {"input_tokens": 4, "output_tokens": 2, "total_tokens": 6}
    items = [{"type": "web_search_call", "action": {"type": kind}} for kind in ("search", "open_page", "search")]
    meter = fed(ResponsesMeter(), response("completed", response={"usage": spent, "output": items}))
    assert meter.spent(never) == Usage(input=4, output=2, searches=2)


def test_a_stream_whose_sum_is_not_its_total_is_flagged() -> None:
    told = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 8}
    meter = fed(ChatMeter(), chat(usage=told), b"data: [DONE]\n\n")
    assert meter.spent(never) == Usage(input=5, output=2, mismatch=True)


def test_groq_tells_usage_in_its_own_corner() -> None:
    told = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7, "total_time": 0.1}
    meter = fed(ChatMeter(hide_usage=True), chat("x"), chat("y", x_groq={"id": "req_1", "usage": told}))
    assert meter.usage == Usage(input=5, output=2)
