"""What is read of a Messages request, what it may cost at most, and how models are listed. Without a socket."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core import endpoints
from apps.core.errors import BadRequest, GatewayError, NotSetUp, Unavailable, UpstreamDisconnected
from apps.gateway.governance.estimates import Bounds, bounds, estimated_input
from apps.providers.dialects import anthropic
from apps.providers.dialects.dialect import Listed

ASK: dict[str, Any] = {"model": "claude-test", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
CONTEXT = 200_000


def head(body: bytes) -> anthropic.MessagesHead:
    return anthropic.read_head(body, endpoints.MESSAGES)


def read_or_refused(body: bytes) -> anthropic.MessagesHead | BadRequest:
    try:
        return head(body)
    except BadRequest as refused:
        return refused


def bound(**fields: Any) -> Bounds:
    raw = json.dumps({**ASK, **fields}).encode()
    read = head(raw)
    cap = read.output_cap(endpoints.MESSAGES)
    return bounds(read, raw, output=True, output_cap=cap, context=CONTEXT, longest=64_000)


# --- Reading ---

WORDS = st.sampled_from(
    ["model", "max_tokens", "messages", "metadata", "user_id", "tools", "type", "max_uses", "stream"]
)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)  # JSON has neither
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | FLOATS | st.text(max_size=3) | st.sampled_from(["web_search_1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
)


@given(st.fixed_dictionaries({}, optional={"messages": st.just([]), "max_tokens": st.just(5)}), ANYTHING, ANYTHING)
def test_any_json_is_read_or_refused_in_a_sentence(fields: dict[str, Any], metadata: object, tools: object) -> None:
    read = read_or_refused(json.dumps({**fields, "metadata": metadata, "tools": tools}).encode())
    if isinstance(read, BadRequest):
        assert read.param in ("messages", "max_tokens")
        return
    assert isinstance(read.end_user, str)
    assert isinstance(read.points_elsewhere, bool)
    assert read.max_searches is None or read.max_searches >= 0


@given(ANYTHING | st.binary(max_size=30))
def test_whatever_is_sent_is_read_or_refused(sent: object) -> None:
    read = read_or_refused(sent if isinstance(sent, bytes) else json.dumps(sent).encode())
    assert not isinstance(read, BadRequest) or read.message


def test_counting_needs_no_max_tokens() -> None:
    body = json.dumps({"model": "claude-test", "messages": []}).encode()
    assert anthropic.read_head(body, endpoints.COUNT_TOKENS).max_tokens is None
    with pytest.raises(BadRequest):
        head(body)


@pytest.mark.parametrize("name", ["model", "max_tokens", "tools", "speed", "mcp_servers"])
def test_a_field_that_is_there_twice_goes_on_as_it_was_read(name: str) -> None:
    first, last = {"max_tokens": ("9000", "5"), "model": ('"dear"', '"cheap"')}.get(name, ('["x"]', "null"))
    body = f'{{"messages":[],"max_tokens":5,"{name}":{first}, "{name}":{last}}}'.encode()
    sent = anthropic.unambiguous(body)
    assert sent.count(f'"{name}"'.encode()) == 1
    assert json.loads(sent)[name] == json.loads(last)


def test_a_usual_body_is_not_written_anew() -> None:
    body = json.dumps({**ASK, "stream": True, "tools": []}, indent=1).encode()
    assert anthropic.unambiguous(body) is body


# --- What it may cost ---


def test_what_the_client_sends_whole_counts_as_its_bytes() -> None:
    own = [{"name": "f", "input_schema": {}}, {"type": "custom", "name": "web_search"}, {"type": "bash_20250124"}]
    fields: dict[str, Any] = {"tools": own, "mcp_servers": [], "container": None}
    found = bound(**fields)
    assert (found.input_tokens, found.output_tokens) == (len(json.dumps({**ASK, **fields})), 5)
    assert found.searches == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"name": "f"}, {"type": "web_fetch_20250910", "name": "web_fetch"}]},
        {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]},
        {"tools": [{"type": "a_tool_of_tomorrow"}]},
        {"tools": [{"type": 5}]},
        {"mcp_servers": [{"type": "url", "url": "https://tools.example"}]},
        {"container": "container_1"},
    ],
)
def test_what_is_found_only_at_anthropic_counts_as_all_that_the_model_can_read(fields: dict[str, Any]) -> None:
    assert bound(**fields).input_tokens == CONTEXT


@pytest.mark.parametrize(
    "source",
    [
        {"type": "document", "source": {"type": "url", "url": "https://papers.example/1.pdf"}},
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
        {"type": "image", "source": {"type": "url", "url": "https://pictures.example/1.png"}},
        {"type": "container_upload", "file_id": "file_1"},
    ],
)
def test_what_a_request_points_at_counts(source: dict[str, Any]) -> None:
    assert bound(messages=[{"role": "user", "content": [source]}]).input_tokens > 100_000


@pytest.mark.parametrize(
    ("uses", "searches"), [([3], 3), ([3, 4], 7), ([None], 10), ([3, None], 10), ([-1], 10), (["3"], 10), ([True], 10)]
)
def test_searches_are_bounded_by_their_tools(uses: list[object], searches: int) -> None:
    tools = [{"type": "web_search_20250305", "name": "web_search", "max_uses": each} for each in uses]
    assert bound(tools=tools).searches == searches


@pytest.mark.parametrize(
    ("fields", "tier"),
    [
        ({}, None),
        ({"service_tier": "standard_only"}, "default"),
        ({"service_tier": "auto"}, "auto"),
        ({"service_tier": "standard_only", "speed": "fast"}, "fast"),
    ],
)
def test_the_tier_that_is_asked_for(fields: dict[str, str], tier: str | None) -> None:
    assert head(json.dumps({**ASK, **fields}).encode()).service_tier == tier


def test_a_picture_within_a_request_is_no_text() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "iVBOR" * 100_000}
    body = json.dumps(
        {**ASK, "messages": [{"role": "user", "content": [{"type": "image", "source": source}]}]}
    ).encode()
    assert 1_000 < estimated_input(body) < 1_100


# --- Errors ---


def test_every_error_has_a_type_that_the_client_knows() -> None:
    def tree(kind: type[GatewayError]) -> set[type[GatewayError]]:
        return {kind}.union(*(tree(child) for child in kind.__subclasses__()))

    for kind in tree(GatewayError):
        error = kind.__new__(kind)
        GatewayError.__init__(error, "Why.")
        body = json.loads(anthropic.error_body(error, "req_1"))
        assert body["type"] == "error"
        assert body["request_id"] == "req_1"
        assert body["error"]["details"]["error_code"] == kind.code
        assert body["error"]["type"].endswith(("_error", "request_too_large"))
        assert anthropic.status(error) != 502
        assert anthropic.status(error) != 503 or kind is NotSetUp, "503 is 529 there, where trying again may help"
    assert anthropic.status(Unavailable()) == 529
    assert anthropic.status(UpstreamDisconnected()) == 500


# --- Lists ---


@given(st.integers(0, 12), st.integers(1, 5))
def test_page_after_page_and_back_shows_every_model_once(count: int, limit: int) -> None:
    models = [Listed(f"m{number:02}", 0, "anthropic", None, None) for number in range(count)]
    forth: list[str] = []
    query = f"limit={limit}"
    while True:
        page = json.loads(anthropic.model_list(models, query.encode()))
        forth += [each["id"] for each in page["data"]]
        if not page["has_more"]:
            break
        query = f"limit={limit}&after_id={page['last_id']}"
    assert forth == [model.name for model in models]
    back: list[str] = []
    first = forth[-1] if forth else ""
    while first:
        page = json.loads(anthropic.model_list(models, f"limit={limit}&before_id={first}".encode()))
        back = [each["id"] for each in page["data"]] + back
        first = page["first_id"] if page["has_more"] else ""
    assert back == forth[:-1]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=-1", "after_id=nothing", "before_id=m"])
def test_a_page_that_cannot_be_is_refused(query: str) -> None:
    with pytest.raises(BadRequest):
        anthropic.model_list([], query.encode())
