"""What agents name in `anthropic-beta`: kept where it is known, left out and told of where it is not."""

import httpx
import pytest

from apps.providers.betas import betas_in, betas_lost, betas_refused, without_betas
from tests.support import bodies, messages
from tests.support.governed import ruled
from tests.support.provider import FakeProvider
from tests.support.tenant import Tenant

AGENTS = "claude-code-20250219,interleaved-thinking-2025-05-14,future-thing-2027-01-01"
OPENAI: list[tuple[str, dict[str, object]]] = [
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}),
    ("/v1/responses", {"input": "Hi"}),
]
UNEXPECTED = "Unexpected value(s) `future-thing-2027-01-01` for the `anthropic-beta` header."


@pytest.fixture
def claude(acme: Tenant, upstream: FakeProvider) -> Tenant:
    acme.add_route("claude", upstream.url, provider="anthropic")
    return acme


def ask(made: Tenant, model: str = "claude", betas: str = AGENTS, says: str = "Hi", **fields: object) -> httpx.Response:
    body = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": says}], **fields}
    return made.http().post("/v1/messages", json=body, headers={"anthropic-beta": betas})


def refuses(upstream: FakeProvider, text: str = UNEXPECTED) -> None:
    upstream.answers(messages.error("invalid_request_error", text), status=400)


def sent(upstream: FakeProvider) -> list[str | None]:
    return [request.header("anthropic-beta") for request in upstream.requests]


def test_a_beta_that_the_provider_does_not_know_is_left_out_told_of_and_not_sent_again(
    claude: Tenant, upstream: FakeProvider
) -> None:
    refuses(upstream)
    for _ in range(3):
        upstream.answers(messages.message())
    first, second = ask(claude), ask(claude)
    known = "claude-code-20250219,interleaved-thinking-2025-05-14"
    assert sent(upstream) == [AGENTS, known, known]
    for answer in (first, second):
        assert answer.status_code == 200
        assert answer.headers["x-tollgate-dropped"] == "anthropic-beta:future-thing-2027-01-01"
    only_unknown = ask(claude, betas="future-thing-2027-01-01")
    assert (only_unknown.status_code, sent(upstream)[-1]) == (200, None)
    assert [attempt["status"] for attempt in claude.records(3)[0].attempts] == [400, 200]


def test_a_server_that_names_none_of_them_gets_none(claude: Tenant, upstream: FakeProvider) -> None:
    refuses(upstream, "invalid beta flag")
    upstream.answers(messages.message())
    assert ask(claude).status_code == 200
    assert sent(upstream) == [AGENTS, None]


def test_where_every_loss_is_refused_the_providers_refusal_is_the_answer(
    claude: Tenant, upstream: FakeProvider
) -> None:
    ruled(claude, untranslatable="strict")
    refuses(upstream)
    answer = ask(claude)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, UNEXPECTED)
    assert len(upstream.requests) == 1


def test_a_callers_words_do_not_take_betas_from_others(claude: Tenant, upstream: FakeProvider) -> None:
    for _ in range(3):
        refuses(upstream, "messages.0: anthropic-beta claude-code-20250219 is no content")
    assert ask(claude, says="anthropic-beta claude-code-20250219").status_code == 400
    assert len(upstream.requests) <= 3
    upstream.answers(messages.message())
    before = len(upstream.requests)
    ask(claude)
    assert sent(upstream)[before] == AGENTS


def test_another_refusal_is_the_clients_at_once(claude: Tenant, upstream: FakeProvider) -> None:
    refuses(upstream, "max_tokens: must be at least 1")
    assert ask(claude).status_code == 400
    assert len(upstream.requests) == 1


def test_in_translation_what_nothing_is_known_of_is_told_of(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.answers(bodies.completion())
    answer = ask(acme, model="gpt-test")
    assert answer.status_code == 200
    assert answer.headers["x-tollgate-dropped"] == "anthropic-beta:future-thing-2027-01-01"
    assert sent(upstream) == [None]

    upstream.answers(bodies.completion())
    assert "x-tollgate-dropped" not in ask(acme, model="gpt-test", betas=AGENTS.rpartition(",")[0]).headers

    ruled(acme, untranslatable="strict")
    refused = ask(acme, model="gpt-test")
    assert refused.status_code == 400
    assert refused.json()["error"]["details"]["param"] == "anthropic-beta:future-thing-2027-01-01"


def test_betas_in_the_body_are_told_of_likewise(acme: Tenant, upstream: FakeProvider) -> None:
    for names, dropped in (
        (["future-thing-2027-01-01", "effort-2025-11-24"], "anthropic_beta"),
        (["effort-2025-11-24"], None),
        ("future-thing-2027-01-01", "anthropic_beta"),
        ([], None),
    ):
        upstream.answers(bodies.completion())
        answer = ask(acme, model="gpt-test", betas="", anthropic_beta=names)
        assert answer.headers.get("x-tollgate-dropped") == dropped
        assert "anthropic_beta" not in upstream.requests[-1].json


@pytest.mark.parametrize(("path", "asked"), OPENAI)
def test_openais_are_named_where_the_answer_is_translated(
    claude: Tenant, upstream: FakeProvider, path: str, asked: dict[str, object]
) -> None:
    for value, dropped in (
        ("assistants=v2, new=v1", "openai-beta:assistants=v2, openai-beta:new=v1"),
        ("responses=experimental", None),  # which is what is translated
    ):
        upstream.answers(messages.message())
        answer = claude.http().post(path, json={"model": "claude", **asked}, headers={"openai-beta": value})
        assert answer.status_code == 200
        assert answer.headers.get("x-tollgate-dropped") == dropped
        assert upstream.requests[-1].header("openai-beta") is None


def test_a_response_that_was_to_be_stored_and_cannot_be(claude: Tenant, upstream: FakeProvider) -> None:
    for store, dropped in ((True, "store"), (False, None), (None, None)):
        upstream.answers(messages.message())
        answer = claude.http().post("/v1/responses", json={"model": "claude", "input": "Hi", "store": store})
        assert answer.headers.get("x-tollgate-dropped") == dropped


def test_the_header_is_read_as_lists_are() -> None:
    value = b" a-1, b-2 ,,a-1,effort-2025-11-24"
    assert betas_in(value) == ["a-1", "b-2", "effort-2025-11-24"]
    assert without_betas(value, frozenset({"b-2"})) == b"a-1,effort-2025-11-24"
    assert without_betas(b"a-1", frozenset({"a-1"})) == b""
    assert betas_lost(value) == ["a-1", "b-2"]


def test_a_refusal_is_for_the_names_that_it_repeats_or_for_all() -> None:
    assert betas_refused(b"a-1,b-2", 400, b"Unexpected value(s) `b-2` for the `anthropic-beta` header") == {"b-2"}
    assert betas_refused(b"a-1,b-2", 400, b"invalid beta flag") == {"a-1", "b-2"}
    assert betas_refused(b"a-1,b-2", 400, b"b-2 is no number") == set()
    assert betas_refused(b"a-1", 404, b"anthropic-beta a-1") == set()
    assert betas_refused(b"", 400, b"invalid beta flag") == set()
