"""Providers that speak as OpenAI does, each where it listens and with its own ways: through OpenAI's own client."""

import json
from decimal import Decimal
from typing import Any

import openai
import pytest

from apps.core import endpoints
from apps.providers.kinds import KINDS
from tests.gateway.test_refusals import HI, ask
from tests.support import bodies
from tests.support.gateway import GatewayProcess
from tests.support.provider import CLOSE, FakeProvider
from tests.support.tenant import SECRET, Tenant

OPENAI_LIKE = [
    name for name, kind in KINDS.items() if kind.dialect == "openai" and name not in {"azure_openai", "sandbox"}
]
UNASKED = [name for name in OPENAI_LIKE if not KINDS[name].takes_stream_options]


def add(acme: Tenant, provider: str, model: str, **options: Any) -> Any:
    """A model of that provider on a credential of its own, whose base URL is the fake provider's."""
    credential = acme.add_credential(acme.upstream.url, provider=provider)
    acme.add_model(model, credential=credential, provider=provider, **options)
    return credential


def told(acme: Tenant, model: str, **options: Any) -> tuple[str, Any]:
    """The text of a streamed answer, and the usage that came with it, if any did."""
    text, usage = "", None
    for chunk in acme.client().chat.completions.create(model=model, messages=HI, stream=True, **options):
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
        usage = chunk.usage or usage
    return text, usage


# --- Where, and with which key ---


@pytest.mark.parametrize("provider", OPENAI_LIKE)
def test_a_call_arrives_where_the_provider_listens_with_its_key_alone(
    acme: Tenant, upstream: FakeProvider, provider: str
) -> None:
    add(acme, provider, "org/model-1")

    assert ask(acme.client(), "org/model-1") == "Hello"

    [request] = upstream.requests
    assert request.path == KINDS[provider].paths[endpoints.CHAT_COMPLETIONS]
    assert request.header("authorization") == f"Bearer {SECRET}"
    assert acme.token not in str(request.headers)
    assert request.json == {"model": "org/model-1", "messages": HI}
    record = acme.record()
    assert (record.provider, record.status) == (provider, 200)
    assert (record.input_tokens, record.output_tokens) == (9, 2)


@pytest.mark.parametrize("provider", [name for name in OPENAI_LIKE if endpoints.EMBEDDINGS in KINDS[name].paths])
def test_embeddings_arrive_as_well(acme: Tenant, upstream: FakeProvider, provider: str) -> None:
    add(acme, provider, "embed-1", kind="embedding")
    answer = acme.client().embeddings.create(model="embed-1", input="hi", encoding_format="float")
    assert answer.data[0].embedding == [0.6, 0.0, 0.8]
    assert upstream.requests[0].path == KINDS[provider].paths[endpoints.EMBEDDINGS]


def test_a_model_of_the_catalogue_is_priced_by_its_providers_list(acme: Tenant, upstream: FakeProvider) -> None:
    """deepseek-v4-flash and mistral-small-latest have different prices; each is looked up at its own provider."""
    costs = {}
    for provider, model in (("deepseek", "deepseek-v4-flash"), ("mistral", "mistral-small-latest")):
        acme.add_credential(upstream.url, provider=provider)  # the installation's list has the model
        upstream.answers(bodies.completion(model=model, usage={"prompt_tokens": 1_000_000, "completion_tokens": 0}))
        ask(acme.client(), model)
        costs[provider] = acme.records(len(costs) + 1)[-1].cost_usd
    assert all(isinstance(cost, Decimal) and cost > 0 for cost in costs.values()), costs
    assert costs["deepseek"] != costs["mistral"]


# --- Usage of streams ---


@pytest.mark.parametrize("provider", UNASKED)
@pytest.mark.parametrize("asked", [False, True])
def test_who_refuses_stream_options_gets_none_and_tells_its_usage_all_the_same(
    acme: Tenant, upstream: FakeProvider, provider: str, asked: bool
) -> None:
    """On the last chunk that has content, beside it."""
    add(acme, provider, "m")
    last = bodies.chunk({"content": "!"}, finish="stop", model="m", usage=bodies.USAGE)
    upstream.streams_raw(
        [
            bodies.event(bodies.chunk({"role": "assistant", "content": "Hi"}, model="m")),
            bodies.event(last),
            bodies.event("[DONE]"),
        ]
    )

    options: dict[str, Any] = {"stream_options": {"include_usage": True}} if asked else {}
    text, usage = told(acme, "m", **options)

    assert text == "Hi!"
    assert usage is not None
    assert "stream_options" not in upstream.requests[0].json
    record = acme.record()
    assert (record.input_tokens, record.output_tokens, record.usage_estimated) == (9, 2, False)


def test_groqs_usage_is_found_where_groq_puts_it(acme: Tenant, upstream: FakeProvider) -> None:
    add(acme, "groq", "openai/gpt-oss-20b")
    upstream.streams_raw(
        [
            bodies.event(bodies.chunk({"role": "assistant", "content": "Hi"}, x_groq={"id": "req_1"})),
            bodies.event(bodies.chunk({}, finish="stop", x_groq={"id": "req_1", "usage": bodies.USAGE})),
            bodies.event("[DONE]"),
        ]
    )
    assert told(acme, "openai/gpt-oss-20b")[0] == "Hi"
    record = acme.record()
    assert (record.input_tokens, record.output_tokens, record.usage_estimated) == (9, 2, False)


@pytest.mark.parametrize("provider", ["openrouter", "deepseek", "together"])
def test_comments_and_usage_beside_content_pass(acme: Tenant, upstream: FakeProvider, provider: str) -> None:
    """Comments keep the connection alive while a request is queued; Together's last chunk has content and usage."""
    add(acme, provider, "m")
    sent = [
        b": OPENROUTER PROCESSING\n\n",
        bodies.event(bodies.chunk({"role": "assistant", "content": "Hi"})),
        b": keep-alive\n\n",
        bodies.event(bodies.chunk({"content": "!"}, finish="stop", usage={**bodies.USAGE, "cost": 0.00014})),
        bodies.event("[DONE]"),
    ]
    upstream.streams_raw(sent)
    response = acme.http().post("/v1/chat/completions", json={"model": "m", "messages": HI, "stream": True})
    assert response.content == b"".join(sent)
    assert upstream.requests[0].json["stream_options"] == {"include_usage": True}
    assert acme.record().output_tokens == 2


def test_leading_blank_lines_of_a_queued_answer_pass(acme: Tenant, upstream: FakeProvider) -> None:
    """DeepSeek sends them while a request that is not streamed waits."""
    add(acme, "deepseek", "m")
    upstream.answers(b"\n\n\n" + json.dumps(bodies.completion()).encode(), headers={"content-type": "application/json"})
    assert ask(acme.client(), "m") == "Hello"
    assert acme.record().input_tokens == 9


REFUSALS = {
    "openai": (400, bodies.error("Unrecognized request argument supplied: stream_options")),
    "pydantic": (
        422,
        {
            "detail": [
                {"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs not permitted"}
            ]
        },
    ),
}


@pytest.mark.parametrize("form", REFUSALS)
def test_an_old_server_that_refuses_stream_options_is_asked_without_them_from_then_on(
    acme: Tenant, upstream: FakeProvider, form: str
) -> None:
    status, refusal = REFUSALS[form]
    add(acme, "openai_compatible", "old")
    upstream.answers(refusal, status=status)
    upstream.streams("Hel", "lo")
    upstream.streams("Hel", "lo")

    assert told(acme, "old")[0] == "Hello"
    assert told(acme, "old")[0] == "Hello"

    assert ["stream_options" in request.json for request in upstream.requests] == [True, False, False]
    first, second = acme.records(2)
    assert [attempt["status"] for attempt in first.attempts] == [status, 200]
    assert len(second.attempts) == 1
    for record in (first, second):
        assert record.status == 200
        assert record.usage_estimated
        assert record.output_tokens


def test_what_one_server_refuses_is_still_asked_of_another(acme: Tenant, upstream: FakeProvider) -> None:
    add(acme, "openai_compatible", "old")
    upstream.answers(bodies.error("unknown field stream_options"), status=400)
    told(acme, "old")
    told(acme, "gpt-test")
    assert upstream.requests[-1].json["stream_options"] == {"include_usage": True}
    assert acme.records(2)[1].usage_estimated is False


def test_a_client_that_asks_for_usage_itself_sees_the_servers_refusal(acme: Tenant, upstream: FakeProvider) -> None:
    add(acme, "openai_compatible", "old")
    upstream.answers(bodies.error("unknown field stream_options"), status=400)
    with pytest.raises(openai.BadRequestError, match="unknown field stream_options"):
        told(acme, "old", stream_options={"include_usage": True})
    assert len(upstream.requests) == 1


def test_any_other_refusal_of_a_stream_is_the_clients_at_once(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.answers(bodies.error("temperature must be at most 2", param="temperature"), status=400)
    with pytest.raises(openai.BadRequestError) as caught:
        told(acme, "gpt-test")
    assert caught.value.param == "temperature"
    assert len(upstream.requests) == 1


def test_a_gateway_that_tries_only_once_learns_all_the_same(upstream: FakeProvider) -> None:
    from tests.support.tenant import tenant

    with GatewayProcess({"UPSTREAM_ATTEMPTS": "1"}) as gateway, tenant(gateway, upstream) as acme:
        upstream.answers(bodies.error("unknown field stream_options"), status=400)
        assert told(acme, "gpt-test")[0] == "Hello"


# --- The cap of the output ---


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("mistral", "max_tokens"),
        ("cohere", "max_tokens"),
        ("deepseek", "max_tokens"),
        ("ollama", "max_tokens"),
        ("groq", "max_completion_tokens"),
        ("openai_compatible", "max_completion_tokens"),
    ],
)
def test_an_output_cap_reaches_the_provider_under_a_name_it_heeds(
    acme: Tenant, upstream: FakeProvider, provider: str, name: str
) -> None:
    add(acme, provider, "m")
    acme.client().chat.completions.create(model="m", messages=HI, max_completion_tokens=7)
    sent = upstream.requests[0].json
    assert {key: sent[key] for key in sent if key.startswith("max_")} == {name: 7}


# --- Answers that are put right ---


FILTERS = {
    "choices": [],
    "id": "",
    "object": "",
    "model": "",
    "created": 0,
    "prompt_filter_results": [{"prompt_index": 0}],
}


def test_a_chunk_without_choices_is_for_azures_own_clients(acme: Tenant, upstream: FakeProvider) -> None:
    """Others read `choices[0]` of every chunk."""
    credential = acme.add_credential(upstream.url, provider="azure_openai", api_version="2024-10-21")
    acme.add_model("m", credential=credential, provider="azure_openai")
    upstream.streams(FILTERS, "Hel", "lo")
    streamed = list(acme.client().chat.completions.create(model="m", messages=HI, stream=True))
    assert [chunk.choices[0].delta.content or "" for chunk in streamed] == ["Hel", "lo", ""]
    upstream.streams(FILTERS, "Hel", "lo")
    azures = openai.AzureOpenAI(azure_endpoint=acme.gateway.url, api_key=acme.token, api_version="2024-10-21")
    first = next(iter(azures.chat.completions.create(model="m", messages=HI, stream=True)))
    assert (first.choices, first.model_extra) == ([], {"prompt_filter_results": FILTERS["prompt_filter_results"]})
    azures.close()


def test_a_failure_after_what_azure_found_in_the_prompt_still_has_a_status(
    acme: Tenant, upstream: FakeProvider
) -> None:
    credential = acme.add_credential(upstream.url, provider="azure_openai", api_version="2024-10-21")
    acme.add_model("m", credential=credential, provider="azure_openai")
    upstream.streams(FILTERS, {"error": {"message": "Overloaded", "code": 503}}, CLOSE)
    with pytest.raises(openai.InternalServerError) as caught:
        told(acme, "m")
    assert (caught.value.status_code, caught.value.code) == (503, "503")


def test_a_role_that_every_chunk_repeats_reaches_a_client_once(acme: Tenant, upstream: FakeProvider) -> None:
    """Its helper for streams joins what it is told again."""
    add(acme, "ollama", "m")
    deltas = [{"role": "assistant", "content": text} for text in ("Hel", "lo")]
    upstream.streams(*[bodies.chunk(delta) for delta in deltas])
    with acme.client().chat.completions.stream(model="m", messages=HI) as stream:
        said = stream.get_final_completion().choices[0].message
    assert (said.role, said.content) == ("assistant", "Hello")


def test_what_a_model_thought_in_a_list_of_parts_reaches_a_client_as_text(acme: Tenant, upstream: FakeProvider) -> None:
    add(acme, "mistral", "m")
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}, {"type": "text", "text": "Hello"}]
    body = bodies.completion()
    body["choices"][0]["message"] = {"role": "assistant", "content": parts}
    upstream.answers(body)
    client = acme.client()
    message = client.chat.completions.create(model="m", messages=HI).choices[0].message
    assert (message.content, message.model_extra) == ("Hello", {"reasoning_content": "Hm"})
    again: Any = [*HI, message, *HI]
    client.chat.completions.create(model="m", messages=again)
    assert upstream.requests[1].json["messages"][1] == {"role": "assistant", "content": parts}


# --- Refusals ---


@pytest.mark.parametrize(
    ("provider", "status", "body", "kind", "message", "param"),
    [
        (
            "mistral",
            422,
            {
                "object": "error",
                "message": {"detail": [{"loc": ["body", "temperature"], "msg": "too hot"}]},
                "type": "invalid_request_error",
            },
            openai.UnprocessableEntityError,
            "temperature: too hot",
            "temperature",
        ),
        ("cohere", 400, {"id": "1", "message": "no such model"}, openai.BadRequestError, "no such model", None),
        ("xai", 400, {"code": "Bad argument", "error": "no such model"}, openai.BadRequestError, "no such model", None),
        (
            "openrouter",
            404,
            {"error": {"message": "No endpoints found", "code": 404}},
            openai.NotFoundError,
            "No endpoints found",
            None,
        ),
        (
            "groq",
            413,
            bodies.error("Request too large", kind="tokens", code="rate_limit_exceeded"),
            openai.APIStatusError,
            "Request too large",
            None,
        ),
        ("ollama", 404, {"error": "model 'm' not found"}, openai.NotFoundError, "model 'm' not found", None),
    ],
)
def test_a_providers_refusal_reaches_the_client_as_an_error_it_can_read(
    acme: Tenant,
    upstream: FakeProvider,
    provider: str,
    status: int,
    body: Any,
    kind: type[openai.APIStatusError],
    message: str,
    param: str | None,
) -> None:
    add(acme, provider, "m")
    upstream.answers(body, status=status)
    with pytest.raises(kind) as caught:
        ask(acme.client(), "m")
    error = caught.value
    assert (error.status_code, error.param) == (status, param)
    assert isinstance(error.body, dict)
    assert error.body["message"] == message
    assert acme.record().status == status


def test_an_error_in_the_middle_of_a_stream_raises_in_the_client(acme: Tenant, upstream: FakeProvider) -> None:
    """OpenRouter's way: a chunk with the error at its top."""
    add(acme, "openrouter", "m")
    upstream.streams_raw(
        [
            bodies.event(bodies.chunk({"role": "assistant", "content": "Hi"})),
            bodies.event(
                bodies.chunk({"content": ""}, finish="error", error={"code": "server_error", "message": "it died"})
            ),
        ]
    )
    with pytest.raises(openai.APIError, match="it died"):
        told(acme, "m")
