"""The features of the matrix: for each what a client does, and what it must hear. A check raises AssertionError, or the client's
own refusal where nothing was to be refused."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import pytest

from tests.sdk.replies import FAILING, INPUT, OUTPUT, REASONING, THOUGHTS
from tests.sdk.scenes import (
    CITIES,
    EVERYTHING,
    FORBIDDEN,
    ONE_CITY,
    PROMPT,
    SYSTEM,
    TOOL,
    TWO_CITIES,
    WEATHER,
    Ask,
    Client,
    Refused,
    Said,
)
from tests.sdk.upstreams import BROKEN, LIMITED, OVERLOADED, REFUSES, RETRY_AFTER, Upstream

PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PAPER = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
_STOP = {"chat": "stop", "responses": "completed", "messages": "end_turn", "gemini": "STOP"}
_TOOLS = {"chat": "tool_calls", "responses": "completed", "messages": "tool_use", "gemini": "STOP"}
_CUT = {
    "chat": "length",
    "responses": "incomplete: max_output_tokens",
    "messages": "max_tokens",
    "gemini": "MAX_TOKENS",
}
_FILTERED = {
    "chat": "content_filter",
    "responses": "incomplete: content_filter",
    "messages": "refusal",
    "gemini": "SAFETY",
}
_ECHO = f"{PROMPT} ({SYSTEM})"


@dataclass(frozen=True, slots=True)
class Feature:
    """`fault`: what the provider does to every request, empty if it answers. `check` is given client, model and provider."""

    title: str
    check: Callable[[Client, str, Upstream], None]
    fault: str = ""


def _check_end(client: Client, said: Said, *, calls: bool = False, thought: bool = False) -> None:
    assert said.finish == (_TOOLS if calls else _STOP)[client.dialect]
    assert said.tokens == (INPUT, OUTPUT + (REASONING if thought else 0))


def _text(client: Client, model: str, upstream: Upstream, *, stream: bool) -> None:
    said = client.ask(Ask(model=model, stream=stream))
    assert (said.text, said.calls, said.thoughts) == (_ECHO, (), "")
    _check_end(client, said)


def _check_calls(said: Said, *cities: str) -> None:
    assert [(call.name, call.arguments) for call in said.calls] == [(TOOL, {"city": city}) for city in cities]
    ids = [call.id for call in said.calls if call.id]
    assert len(set(ids)) == len(ids)


def _calls(client: Client, model: str, upstream: Upstream, *, stream: bool, several: bool) -> None:
    said = client.ask(Ask(model=model, text=TWO_CITIES if several else ONE_CITY, tool=True, stream=stream))
    _check_calls(said, *(CITIES if several else CITIES[:1]))
    assert said.text == ""
    if client.dialect != "gemini":
        assert all(call.id for call in said.calls)
    _check_end(client, said, calls=True)


def _results(client: Client, model: str, upstream: Upstream, *, stream: bool, think: bool) -> None:
    ask = Ask(model=model, text=TWO_CITIES, tool=True, stream=stream, think=think)
    first = client.ask(ask)
    _check_calls(first, *CITIES)
    results = tuple(WEATHER[city] for city in CITIES)
    second = Ask(model=model, text=TWO_CITIES, tool=True, stream=stream, think=think, before=(first, results))
    said = client.ask(second)
    assert (said.text, said.calls) == ("; ".join(f"{city}: {WEATHER[city]}" for city in CITIES), ())
    _check_end(client, said, thought=think and upstream.spoken_with(client.dialect).COUNTS)


def _forced(client: Client, model: str, upstream: Upstream) -> None:
    """Without being forced the model would have no reason to call the tool."""
    said = client.ask(Ask(model=model, tool=True, force=True))
    _check_calls(said, CITIES[0])


def _ended(client: Client, model: str, upstream: Upstream, *, text: str, words: Mapping[str, str]) -> None:
    for stream in (False, True):
        said = client.ask(Ask(model=model, text=text, stream=stream))
        assert said.finish == words[client.dialect]


def _structured(client: Client, model: str, upstream: Upstream, *, stream: bool) -> None:
    said = client.ask(Ask(model=model, schema=True, stream=stream))
    assert said.text == '{"city":"Tromsø","degrees":-7}'
    _check_end(client, said)


def _seen(kind: str, data: bytes) -> str:
    return f"{PROMPT} [{kind} {hashlib.sha256(data).hexdigest()[:8]}] ({SYSTEM})"


def _image(client: Client, model: str, upstream: Upstream) -> None:
    said = client.ask(Ask(model=model, image=PICTURE))
    assert said.text == _seen("image/png", PICTURE)


def _document(client: Client, model: str, upstream: Upstream) -> None:
    said = client.ask(Ask(model=model, document=PAPER))
    assert said.text == _seen("application/pdf", PAPER)


def _thinking(client: Client, model: str, upstream: Upstream, *, stream: bool) -> None:
    said = client.ask(Ask(model=model, think=True, stream=stream))
    assert said.text == _ECHO
    # Chat has no field to ask for thoughts by: they are shown by those who show them unasked.
    spoken = upstream.spoken_with(client.dialect)
    is_seen = spoken.TELLS and (client.dialect != "chat" or spoken.DIALECT == "chat")
    assert said.thoughts == (THOUGHTS if is_seen else "")
    _check_end(client, said, thought=spoken.COUNTS)


def _stop(client: Client, model: str, upstream: Upstream) -> None:
    said = client.ask(Ask(model=model, stop="traveller"))
    assert said.text == PROMPT.partition("traveller")[0]


def _several(client: Client, model: str, upstream: Upstream) -> None:
    said = client.ask(Ask(model=model, several=2))
    assert said.text == f"{_ECHO}|{_ECHO}"


def _logprobs(client: Client, model: str, upstream: Upstream) -> None:
    said = client.ask(Ask(model=model, logprobs=True))
    assert (said.text, said.logprob) == (_ECHO, -0.25)


# --- Failures: which of its own errors a client raises ---

_CLASSES: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "refuses": {
        "chat": (400, "BadRequestError"),
        "responses": (400, "BadRequestError"),
        "messages": (400, "BadRequestError"),
        "gemini": (400, "ClientError"),
    },
    "limits": {
        "chat": (429, "RateLimitError"),
        "responses": (429, "RateLimitError"),
        "messages": (429, "RateLimitError"),
        "gemini": (429, "ClientError"),
    },
    "overload": {
        "chat": (503, "InternalServerError"),
        "responses": (503, "InternalServerError"),
        "messages": (529, "OverloadedError"),
        "gemini": (503, "ServerError"),
    },
}
_NODES_CLASSES = {"OverloadedError": "InternalServerError", "ClientError": "ApiError", "ServerError": "ApiError"}
_MESSAGES = {"refuses": REFUSES, "limits": LIMITED, "overload": OVERLOADED}


def _refused(client: Client, ask: Ask) -> Refused:
    with pytest.raises(Refused) as caught:
        client.ask(ask)
    return caught.value


def _refusal(client: Client, model: str, upstream: Upstream, *, fault: str) -> None:
    status, kind = _CLASSES[fault][client.dialect]
    for stream in (False, True):
        refused = _refused(client, Ask(model=model, stream=stream))
        assert refused.status == status, refused
        assert refused.kind in (kind, _NODES_CLASSES.get(kind)), refused
        assert _MESSAGES[fault] in refused.message
        assert refused.begun == ""
        if fault == "limits":
            assert refused.retry_after == RETRY_AFTER, refused


def _early(client: Client, model: str, upstream: Upstream) -> None:
    refused = _refused(client, Ask(model=model, stream=True))
    assert refused.status >= 500, refused
    assert refused.begun == ""
    assert BROKEN in refused.message


def _death(client: Client, model: str, upstream: Upstream, *, says: str) -> None:
    refused = _refused(client, Ask(model=model, stream=True))
    assert refused.status == 0
    assert FAILING.startswith(refused.begun)
    assert refused.begun.startswith(FAILING[:10])
    assert says in refused.message


FEATURES: Mapping[str, Feature] = {
    "text": Feature("text", partial(_text, stream=False)),
    "stream": Feature("stream", partial(_text, stream=True)),
    "tool": Feature("one tool", partial(_calls, stream=False, several=False)),
    "tool-streamed": Feature("one tool, streamed", partial(_calls, stream=True, several=False)),
    "forced": Feature("a tool that must be called", _forced),
    "tools": Feature("parallel tools", partial(_calls, stream=False, several=True)),
    "tools-streamed": Feature("parallel tools, streamed", partial(_calls, stream=True, several=True)),
    "results": Feature("results of tools", partial(_results, stream=False, think=False)),
    "results-streamed": Feature("results of tools, streamed", partial(_results, stream=True, think=False)),
    "structured": Feature("structured output", partial(_structured, stream=False)),
    "structured-streamed": Feature("structured output, streamed", partial(_structured, stream=True)),
    "image": Feature("image", _image),
    "document": Feature("PDF", _document),
    "thinking": Feature("thinking", partial(_thinking, stream=False)),
    "thinking-streamed": Feature("thinking, streamed", partial(_thinking, stream=True)),
    "proof": Feature("thoughts kept over tools", partial(_results, stream=False, think=True)),
    "proof-streamed": Feature("thoughts kept over tools, streamed", partial(_results, stream=True, think=True)),
    "stop": Feature("stop sequence", _stop),
    "several": Feature("two answers", _several),
    "logprobs": Feature("log probabilities", _logprobs),
    "cut": Feature("answer cut at its cap", partial(_ended, text=EVERYTHING, words=_CUT)),
    "filtered": Feature("answer that is filtered", partial(_ended, text=FORBIDDEN, words=_FILTERED)),
    "refuses": Feature("error 400", partial(_refusal, fault="refuses"), "refuses"),
    "limits": Feature("rate limit 429", partial(_refusal, fault="limits"), "limits"),
    "overload": Feature("overload 503 or 529", partial(_refusal, fault="overload"), "overload"),
    "early": Feature("stream that begins with a failure", _early, "early"),
    "fails": Feature("failure in mid-stream", partial(_death, says=BROKEN), "fails"),
    "breaks": Feature("stream that breaks off", partial(_death, says=""), "breaks"),
}
