"""Google's official client, unmodified, to a provider that speaks as Gemini does."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import errors, types

from apps.providers.prices.actions import price_set
from tests.support import contents
from tests.support.governed import LONG_AGO, budget, ruled, settled
from tests.support.provider import CLOSE, HANG, RESET, FakeProvider
from tests.support.tenant import ACTOR, SECRET, Tenant

ASK: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
GENERATE = f"/v1beta/models/{contents.MODEL}:generateContent"
STREAM = f"/v1beta/models/{contents.MODEL}:streamGenerateContent?alt=sse"


@pytest.fixture
def google(acme: Tenant, upstream: FakeProvider) -> Tenant:
    """The tenant, with models of Gemini's behind the fake provider."""
    credential = acme.add_credential(upstream.url, provider="gemini")
    for name, options in (
        (contents.MODEL, {}),
        ("renamed-gemini", {"upstream_name": "gemini-upstream"}),
        ("tuned/mine:2", {"upstream_name": "gemini-tuned"}),
        ("gemini-embedding-test", {"kind": "embedding"}),
    ):
        acme.add_model(name, credential=credential, provider="gemini", **options)
    return acme


def made(tenant: Tenant, **options: Any) -> genai.Client:
    return genai.Client(
        api_key=tenant.token, http_options=types.HttpOptions(base_url=tenant.gateway.url, timeout=20_000, **options)
    )


@pytest.fixture
def client(google: Tenant) -> Iterator[genai.Client]:
    with made(google) as client:
        yield client


def plain(tenant: Tenant, path: str = GENERATE, body: Any = None, **headers: str) -> httpx.Response:
    """A request without any client's help, with the token where Google's clients put it."""
    http = tenant.http(authorized=False)
    return http.post(path, json=ASK if body is None else body, headers={"x-goog-api-key": tenant.token, **headers})


def refused(response: httpx.Response, code: int, status: str) -> dict[str, Any]:
    """The error of a refusal, in Google's envelope."""
    assert response.status_code == code, response.text
    error: dict[str, Any] = response.json()["error"]
    assert (error["code"], error["status"]) == (code, status)
    assert error.keys() == {"code", "message", "status", "details"}
    return error


def reason(error: dict[str, Any]) -> str:
    return str(error["details"][0]["reason"])


def priced(tenant: Tenant, **prices: str) -> None:
    price_set(
        organization=tenant.organization,
        provider="gemini",
        model=contents.MODEL,
        prices={kind: Decimal(price) for kind, price in prices.items()},
        effective_from=LONG_AGO,
        actor=ACTOR,
    )


# --- Answers ---


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha"])
def test_an_answer(google: Tenant, upstream: FakeProvider, version: str) -> None:
    upstream.answers(contents.content())
    with made(google, api_version=version) as client:
        answer = client.models.generate_content(model=contents.MODEL, contents="Hi")

    assert answer.text == "Hello"
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.total_token_count == 14
    record = google.record()
    assert (record.endpoint, record.dialect, record.provider) == ("generate_content", "gemini", "gemini")
    assert (record.status, record.model_asked, record.model_served) == (200, contents.MODEL, contents.MODEL)
    assert (record.input_tokens, record.output_tokens, record.reasoning_tokens) == (9, 5, 3)
    assert not record.usage_estimated


def test_what_the_provider_gets(google: Tenant, client: genai.Client, upstream: FakeProvider) -> None:
    upstream.answers(contents.content())
    client.models.generate_content(
        model=contents.MODEL, contents="Hi", config=types.GenerateContentConfig(temperature=0.5, max_output_tokens=7)
    )
    got = upstream.next_request()
    assert got.path == GENERATE
    assert got.header("x-goog-api-key") == SECRET
    assert google.token not in str(got.headers) + got.path
    assert got.header("authorization") is None
    assert got.json["generationConfig"] == {"temperature": 0.5, "maxOutputTokens": 7}


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ("renamed-gemini", "gemini-upstream"),
        ("tuned/mine:2", "gemini-tuned"),
    ],
)
def test_a_model_may_have_another_name_slashes_and_colons(
    google: Tenant, client: genai.Client, upstream: FakeProvider, asked: str, path: str
) -> None:
    upstream.answers(contents.content(), always=True)
    http = google.http()
    for name in (asked, asked.replace("/", "%2F")):
        assert http.post(f"/v1/models/{name}:generateContent", json=ASK).status_code == 200
        assert upstream.requests[-1].path == f"/v1beta/models/{path}:generateContent"


def test_bytes_pass_as_they_are(google: Tenant, upstream: FakeProvider) -> None:
    sent = b'{ "contents":[{"parts":[{"text":"\\u00e9"}]}], "unheardOf": {"a": [1.0, 2e3]}}'
    answer = b'{"candidates": [ ],  "new": 1e5}'
    upstream.answers(answer)
    http = google.http(authorized=False)
    response = http.post(GENERATE, content=sent, headers={"x-goog-api-key": google.token})
    assert upstream.next_request().body == sent
    assert response.content == answer


def test_tools_and_their_results_pass(google: Tenant, client: genai.Client, upstream: FakeProvider) -> None:
    call = {"functionCall": {"name": "weather", "args": {"city": "Oslo"}}, "thoughtSignature": "c2ln"}
    upstream.answers(contents.content(call))
    answer = client.models.generate_content(
        model=contents.MODEL,
        contents="Hi",
        config=types.GenerateContentConfig(
            tools=[types.Tool(function_declarations=[types.FunctionDeclaration(name="weather")])],
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        ),
    )
    assert answer.function_calls is not None
    assert (answer.function_calls[0].name, answer.function_calls[0].args) == ("weather", {"city": "Oslo"})


# --- Streams ---


def test_a_stream(google: Tenant, client: genai.Client, upstream: FakeProvider) -> None:
    upstream.streams_raw(list(contents.chunks("Hel", "lo", "!")))
    text = [chunk.text for chunk in client.models.generate_content_stream(model=contents.MODEL, contents="Hi")]

    assert text == ["Hel", "lo", "!"]
    assert upstream.next_request().path == STREAM
    record = google.record()
    assert (record.status, record.endpoint, record.stream) == (200, "stream_generate_content", True)
    assert (record.input_tokens, record.output_tokens, record.usage_estimated) == (9, 5, False)
    assert record.model_served == contents.MODEL


def test_a_stream_passes_byte_for_byte_wherever_it_is_cut(google: Tenant, upstream: FakeProvider) -> None:
    whole = b"".join(contents.chunks("Hel", "lo"))
    for size in (1, 7, 64, len(whole)):
        upstream.streams_raw([whole[at : at + size] for at in range(0, len(whole), size)])
        response = plain(google, STREAM)
        assert response.content == whole
        assert response.headers["content-type"].startswith("text/event-stream")
    assert {record.output_tokens for record in google.records(4)} == {5}


def test_a_prompt_that_is_blocked_ends_a_stream_well(google: Tenant, upstream: FakeProvider) -> None:
    blocked = {
        "promptFeedback": {"blockReason": "SAFETY"},
        "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9},
    }
    upstream.streams_raw([contents.event(blocked)])
    assert plain(google, STREAM).content == contents.event(blocked)
    record = google.record()
    assert (record.status, record.input_tokens, record.output_tokens or 0) == (200, 9, 0)


@pytest.mark.parametrize("ending", [CLOSE, RESET])
def test_a_stream_that_dies_ends_in_an_error_that_the_client_raises(
    google: Tenant, client: genai.Client, upstream: FakeProvider, ending: Any
) -> None:
    first, *_ = contents.chunks("Hel", "lo")
    upstream.streams_raw([first, ending])
    taken = []
    with pytest.raises(errors.ServerError) as caught:
        taken.extend(chunk.text for chunk in client.models.generate_content_stream(model=contents.MODEL, contents="Hi"))
    assert taken == ["Hel"]
    assert (caught.value.code, caught.value.status) == (503, "UNAVAILABLE")
    record = google.record()
    assert record.error_code == "upstream_disconnected"
    assert record.input_tokens == 9
    assert record.output_tokens


def test_an_error_in_the_stream_is_the_clients_and_the_records(
    google: Tenant, client: genai.Client, upstream: FakeProvider
) -> None:
    first, *_ = contents.chunks("Hel", "lo")
    upstream.streams_raw([first, contents.event(contents.error(503, "UNAVAILABLE", "Overloaded"))])
    with pytest.raises(errors.ServerError, match="Overloaded"):
        list(client.models.generate_content_stream(model=contents.MODEL, contents="Hi"))
    assert google.record().attempts[-1]["error_code"] == "UNAVAILABLE"


def test_a_client_that_leaves_ends_the_call(google: Tenant, client: genai.Client, upstream: FakeProvider) -> None:
    first, *_ = contents.chunks("Hel", "lo")
    upstream.streams_raw([first, HANG])
    with google.http().stream("POST", STREAM, json=ASK) as response:
        assert next(response.iter_raw())
    assert upstream.hung_up.wait(5)
    record = google.record()
    assert (record.status, record.input_tokens) == (499, 9)


def test_no_comment_and_no_name_of_an_event_is_ever_sent(google: Tenant, upstream: FakeProvider) -> None:
    """Google's client raises on either."""
    first, *_ = contents.chunks("Hel", "lo")
    upstream.streams_raw([first, CLOSE])
    lines = [line for line in plain(google, STREAM).content.splitlines() if line]
    assert all(line.startswith(b"data: ") for line in lines)
    assert next(iter(json.loads(lines[-1][6:]))) == "error"


def test_a_stream_without_events_is_one_array(google: Tenant, upstream: FakeProvider) -> None:
    whole = b"".join(contents.chunks("Hel", "lo"))
    for size in (1, 50, len(whole)):
        upstream.streams_raw([whole[at : at + size] for at in range(0, len(whole), size)])
        response = plain(google, STREAM.removesuffix("?alt=sse"))
        assert response.headers["content-type"] == "application/json"
        said = ["".join(part["text"] for part in each["candidates"][0]["content"]["parts"]) for each in response.json()]
        assert said == ["Hel", "lo"]
    assert upstream.requests[-1].path == STREAM
    assert {record.output_tokens for record in google.records(3)} == {5}


def test_an_array_that_breaks_off_ends_in_its_error(google: Tenant, upstream: FakeProvider) -> None:
    first, *_ = contents.chunks("Hel", "lo")
    upstream.streams_raw([first, CLOSE])
    *_, last = plain(google, STREAM.removesuffix("?alt=sse")).json()
    assert last["error"]["status"] == "UNAVAILABLE"
    upstream.streams_raw([first, contents.event(contents.error(503, "UNAVAILABLE", "Overloaded"))])
    *_, last = plain(google, STREAM.removesuffix("?alt=sse")).json()
    assert last["error"]["message"] == "Overloaded"


# --- Counting, embedding, listing ---


def test_counting_is_free(google: Tenant, client: genai.Client, upstream: FakeProvider) -> None:
    upstream.answers({"totalTokens": 4})
    assert client.models.count_tokens(model=contents.MODEL, contents="Hi").total_tokens == 4
    record = google.record()
    assert (record.endpoint, record.status, record.cost_usd or 0) == ("count_content", 200, 0)


def test_what_cannot_count_is_estimated(google: Tenant, client: genai.Client, upstream: FakeProvider) -> None:
    upstream.answers("", status=404)
    counted = client.models.count_tokens(model=contents.MODEL, contents="Hi there, how many are we?")
    assert counted.total_tokens is not None
    assert 5 <= counted.total_tokens <= 60


def test_an_embedding(google: Tenant, upstream: FakeProvider) -> None:
    upstream.answers({"embedding": {"values": [0.6, 0.8]}})
    body = {"model": "models/gemini-embedding-test", "content": {"parts": [{"text": "Hi"}]}}
    path = "/v1beta/models/gemini-embedding-test:embedContent"
    assert plain(google, path, body).json()["embedding"]["values"] == [0.6, 0.8]
    assert upstream.next_request().path == path
    record = google.record()
    assert (record.endpoint, record.usage_estimated) == ("embed_content", True)
    assert record.input_tokens


def test_a_batch_of_embeddings(google: Tenant, client: genai.Client, upstream: FakeProvider) -> None:
    values = [{"values": [0.6, 0.8]}, {"values": [0.8, 0.6]}]
    upstream.answers({"embeddings": values, "usageMetadata": {"promptTokenCount": 3}})
    answer = client.models.embed_content(model="gemini-embedding-test", contents=["a", "b"])
    assert answer.embeddings is not None
    assert [each.values for each in answer.embeddings] == [[0.6, 0.8], [0.8, 0.6]]
    got = upstream.next_request()
    assert got.path == "/v1beta/models/gemini-embedding-test:batchEmbedContents"
    assert google.record().input_tokens == 3


def test_every_place_where_a_body_names_the_model_names_the_providers(google: Tenant, upstream: FakeProvider) -> None:
    """Or a batch would be asked of a model that policies did not see."""
    upstream.answers({"embeddings": []}, always=True)
    part = {"content": {"parts": [{"text": "a"}]}}
    plain(
        google,
        "/v1beta/models/renamed-gemini:batchEmbedContents",
        {"requests": [{"model": "models/renamed-gemini", **part}, {"model": "models/gemini-4-argon", **part}, part]},
    )
    assert [each["model"] for each in upstream.requests[-1].json["requests"]] == ["models/gemini-upstream"] * 3
    plain(
        google,
        "/v1beta/models/renamed-gemini:countTokens",
        {"generateContentRequest": {"model": "models/renamed-gemini", **ASK}},
    )
    assert upstream.requests[-1].json["generateContentRequest"]["model"] == "models/gemini-upstream"


def test_models_are_listed_in_geminis_form(google: Tenant, client: genai.Client) -> None:
    listed = {model.name: model for model in client.models.list()}
    assert set(listed) >= {
        f"models/{name}" for name in (contents.MODEL, "renamed-gemini", "tuned/mine:2", "gemini-embedding-test")
    }
    assert "models/gemini-2.5-flash" in listed, "the installation's list, which the credential serves as well"
    assert "models/gpt-test" in listed, "whatever its provider speaks"
    assert listed["models/gemini-2.5-flash"].output_token_limit
    assert listed["models/gemini-embedding-test"].supported_actions == [
        "embedContent",
        "batchEmbedContents",
        "countTokens",
    ]
    assert client.models.get(model=contents.MODEL).name == f"models/{contents.MODEL}"
    with pytest.raises(errors.ClientError) as caught:
        client.models.get(model="unheard-of")
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")


@pytest.mark.parametrize("path", ["/v1beta/models", "/v1alpha/models", "/gemini/v1/models", "/gemini/v1beta/models"])
def test_its_own_paths_list_in_its_form_whoever_asks(google: Tenant, path: str) -> None:
    assert "models" in google.http().get(path).json()


def test_one_path_of_models_answers_each_in_its_own_form(google: Tenant) -> None:
    http = google.http(authorized=False)
    for headers, key in (
        ({"authorization": f"Bearer {google.token}"}, "object"),
        ({"x-goog-api-key": google.token}, "models"),
        ({"x-goog-api-key": google.token, "x-goog-api-client": "google-genai-sdk/3.4.0"}, "models"),
        ({"x-api-key": google.token, "anthropic-version": "2023-06-01"}, "has_more"),
    ):
        assert key in http.get("/v1/models", headers=headers).json(), headers
    assert "models" in http.get("/v1/models", params={"key": google.token}).json()


# --- The token ---


def test_a_token_in_the_query_opens_and_goes_nowhere(google: Tenant, upstream: FakeProvider) -> None:
    upstream.answers(contents.content())
    before = google.gateway.log.stat().st_size
    response = google.http(authorized=False).post(GENERATE, params={"key": google.token}, json=ASK)
    assert response.status_code == 200
    got = upstream.next_request()
    assert got.path == GENERATE
    assert google.token not in str(got.headers)
    record = google.record()
    assert google.token not in str(record.__dict__)
    assert google.token not in google.gateway.tail(before)


def test_two_different_tokens_are_refused(google: Tenant) -> None:
    response = google.http(authorized=False).post(
        GENERATE, params={"key": google.token + "x"}, json=ASK, headers={"x-goog-api-key": google.token}
    )
    assert reason(refused(response, 401, "UNAUTHENTICATED")) == "INVALID_API_KEY"


# --- Refusals ---


def test_a_wrong_token_is_the_clients_error(google: Tenant) -> None:
    client = genai.Client(api_key="tg_live_nonsense", http_options=types.HttpOptions(base_url=google.gateway.url))
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model=contents.MODEL, contents="Hi")
    assert (caught.value.code, caught.value.status) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    ("path", "body", "code", "status", "says"),
    [
        ("/v1beta/models/nowhere:generateContent", ASK, 404, "NOT_FOUND", "nowhere"),
        (GENERATE, {}, 400, "INVALID_ARGUMENT", "contents"),
        (GENERATE, {"contents": 5}, 400, "INVALID_ARGUMENT", "contents"),
        (
            GENERATE,
            {**ASK, "generationConfig": {"maxOutputTokens": "many"}},
            400,
            "INVALID_ARGUMENT",
            "maxOutputTokens",
        ),
        (
            GENERATE,
            {**ASK, "generationConfig": {}, "generation_config": {}},
            400,
            "INVALID_ARGUMENT",
            "generationConfig",
        ),
        (
            GENERATE,
            {**ASK, "generationConfig": {"maxOutputTokens": 1, "max_output_tokens": 2}},
            400,
            "INVALID_ARGUMENT",
            "maxOutputTokens",
        ),
        ("/v1beta/models/x:embedContent", {}, 400, "INVALID_ARGUMENT", "content"),
        ("/v1beta/models/x:batchEmbedContents", {"requests": {}}, 400, "INVALID_ARGUMENT", "requests"),
        ("/v1beta/models/../x:generateContent", ASK, 404, "NOT_FOUND", ""),
        ("/v1beta/models/a%20b:generateContent", ASK, 400, "INVALID_ARGUMENT", "model"),
        ("/v1beta/nothing", ASK, 404, "NOT_FOUND", "generateContent"),
    ],
)
def test_a_refusal_is_in_googles_form(google: Tenant, path: str, body: Any, code: int, status: str, says: str) -> None:
    assert says in refused(plain(google, path, body), code, status)["message"]


def test_geminis_models_are_refused_for_what_gemini_has_not_with_the_path_to_take(google: Tenant) -> None:
    body = {"model": contents.MODEL, "prompt": "Hi"}
    error = google.http().post("/v1/completions", json=body).json()["error"]
    assert error["code"] == "dialect_mismatch"
    assert ":generateContent" in error["message"]


def test_a_limit_says_when_to_come_again(google: Tenant, client: genai.Client, upstream: FakeProvider) -> None:
    upstream.answers(contents.content(), always=True)
    ruled(google, requests_per_minute=1)
    assert plain(google).status_code == 200
    response = plain(google)
    error = refused(response, 429, "RESOURCE_EXHAUSTED")
    [retry] = [each for each in error["details"] if each["@type"].endswith("RetryInfo")]
    seconds = float(retry["retryDelay"].removesuffix("s"))
    assert seconds == pytest.approx(int(response.headers["retry-after-ms"]) / 1000)
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model=contents.MODEL, contents="Hi")
    assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")


def test_a_budget_that_is_spent_refuses_with_402(google: Tenant, client: genai.Client, upstream: FakeProvider) -> None:
    priced(google, input="1", output="10")
    budget(google, "0.00001")
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model=contents.MODEL, contents="Hi")
    assert (caught.value.code, caught.value.status) == (402, "RESOURCE_EXHAUSTED")
    assert upstream.requests == []
    assert google.record().error_code == "budget_exceeded"


def test_what_it_cost_is_exact_and_counted(google: Tenant, client: genai.Client, upstream: FakeProvider) -> None:
    priced(google, input="1", output="10")
    kept = budget(google, "1")
    upstream.answers(contents.content())
    client.models.generate_content(model=contents.MODEL, contents="Hi")
    assert google.record().cost_usd == Decimal("0.000059")  # 9 in at 1, 2 + 3 thought out at 10, by the million
    assert settled(kept).spent_usd == Decimal("0.000059")


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        ({}, {"generationConfig": {"maxOutputTokens": 50}}),
        (
            {"generationConfig": {"maxOutputTokens": 500, "temperature": 1}},
            {"generationConfig": {"maxOutputTokens": 50, "temperature": 1}},
        ),
        (
            {"generation_config": {"max_output_tokens": 500}},
            {"generation_config": {"max_output_tokens": 50}},
        ),
        ({"generation_config": {"topK": 1}}, {"generation_config": {"topK": 1, "maxOutputTokens": 50}}),
        ({"generationConfig": {"maxOutputTokens": 20}}, {"generationConfig": {"maxOutputTokens": 20}}),
        ({"generationConfig": None}, {"generationConfig": {"maxOutputTokens": 50}}),
    ],
)
def test_a_policys_cap_is_put_where_gemini_looks_for_it(
    google: Tenant, upstream: FakeProvider, sent: dict[str, Any], got: dict[str, Any]
) -> None:
    ruled(google, max_output_tokens=50)
    upstream.answers(contents.content())
    assert plain(google, body={**ASK, **sent}).status_code == 200
    assert upstream.next_request().json == {**ASK, **got}


def test_a_cap_that_is_there_twice_reaches_the_provider_once(google: Tenant, upstream: FakeProvider) -> None:
    ruled(google, max_output_tokens=50)
    upstream.answers(contents.content(), always=True)
    http = google.http()
    for config in (
        b'{"maxOutputTokens":5000,"maxOutputTokens":10}',
        b'{"maxOutputTokens":5000,"maxOutput\\u0054okens":10}',
    ):
        body = b'{"generationConfig":{"maxOutputTokens":9000},"contents":[],"generationConfig":' + config + b"}"
        assert http.post(GENERATE, content=body, headers={"content-type": "application/json"}).status_code == 200
        sent = upstream.requests[-1].body
        assert sent.count(b"maxOutput") == 1, sent
        assert json.loads(sent)["generationConfig"] == {"maxOutputTokens": 10}


def test_the_scope_is_that_of_generating(google: Tenant, upstream: FakeProvider) -> None:
    upstream.answers(contents.content(), always=True)
    _, narrow = google.issue_token(scopes=["generate_content"])
    _, other = google.issue_token(scopes=["chat_completions"])
    http = google.http(authorized=False)
    for path in (GENERATE, GENERATE.replace("generateContent", "countTokens")):
        assert http.post(path, json=ASK, headers={"x-goog-api-key": narrow}).status_code == 200
        refused(http.post(path, json=ASK, headers={"x-goog-api-key": other}), 403, "PERMISSION_DENIED")


# --- The provider's own refusals ---


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        (400, "INVALID_ARGUMENT", errors.ClientError),
        (404, "NOT_FOUND", errors.ClientError),
        (429, "RESOURCE_EXHAUSTED", errors.ClientError),
        (503, "UNAVAILABLE", errors.ServerError),
    ],
)
def test_a_refusal_of_googles_passes_as_it_is(
    google: Tenant, client: genai.Client, upstream: FakeProvider, code: int, status: str, kind: type[errors.APIError]
) -> None:
    upstream.answers(contents.error(code, status), status=code, always=True)
    with pytest.raises(kind) as caught:
        client.models.generate_content(model=contents.MODEL, contents="Hi")
    assert (caught.value.code, caught.value.status, caught.value.message) == (code, status, "Google says no.")
    assert google.record().attempts[-1]["error_code"] == status


@pytest.mark.parametrize(
    ("code", "body"),
    [
        (400, contents.error(400, "INVALID_ARGUMENT", "API key not valid.", reason="API_KEY_INVALID")),
        (401, contents.error(401, "UNAUTHENTICATED")),
        (403, contents.error(403, "PERMISSION_DENIED")),
    ],
)
def test_a_refused_key_is_the_operators_matter(
    google: Tenant, client: genai.Client, upstream: FakeProvider, code: int, body: Any
) -> None:
    upstream.answers(body, status=code)
    with pytest.raises(errors.ServerError) as caught:
        client.models.generate_content(model=contents.MODEL, contents="Hi")
    assert (caught.value.code, caught.value.status) == (503, "UNAVAILABLE")
    assert google.record().error_code == "upstream_auth_failed"
