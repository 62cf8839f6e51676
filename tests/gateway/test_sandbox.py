"""End to end without a fake: the official client, the gateway, and the sandbox provider as its own process."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import openai
import pytest

from apps.providers.models import ModelKind
from tests.sandbox.conftest import running

if TYPE_CHECKING:
    from tests.support.gateway import GatewayProcess
    from tests.support.tenant import Tenant

HI: list[Any] = [{"role": "user", "content": "Hi"}]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    with running() as url:
        yield url


@pytest.fixture
def client(acme: "Tenant", sandbox: str) -> openai.OpenAI:
    credential = acme.add_credential(sandbox, provider="sandbox", secret="")
    for name, kind in (
        ("sandbox-chat", ModelKind.CHAT),
        ("sandbox-embed", ModelKind.EMBEDDING),
        ("sandbox-429", ModelKind.CHAT),
        ("sandbox-die-mid-stream", ModelKind.CHAT),
    ):
        acme.add_model(name, kind=kind, credential=credential, provider="sandbox")
    return acme.client()


def test_a_chat_is_answered_and_its_usage_recorded(client: openai.OpenAI, acme: "Tenant") -> None:
    answer = client.chat.completions.create(model="sandbox-chat", messages=HI)
    assert answer.choices[0].message.content
    assert answer.usage is not None
    record = acme.record()
    assert (record.provider, record.input_tokens, record.output_tokens) == (
        "sandbox",
        answer.usage.prompt_tokens,
        answer.usage.completion_tokens,
    )


def test_a_stream_says_what_the_whole_answer_says(client: openai.OpenAI, acme: "Tenant") -> None:
    whole = client.chat.completions.create(model="sandbox-chat", messages=HI)
    chunks = client.chat.completions.create(model="sandbox-chat", messages=HI, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.choices[0].message.content
    first, second = acme.records(2)
    assert (second.input_tokens, second.output_tokens) == (first.input_tokens, first.output_tokens)
    assert second.usage_estimated is False


def test_embeddings_and_responses(client: openai.OpenAI, acme: "Tenant") -> None:
    assert len(client.embeddings.create(model="sandbox-embed", input=["a", "b"]).data) == 2
    assert client.responses.create(model="sandbox-chat", input="Hi").output_text
    events = [event.type for event in client.responses.create(model="sandbox-chat", input="Hi", stream=True)]
    assert events[-1] == "response.completed"
    assert {record.endpoint for record in acme.records(3)} == {"embeddings", "responses"}


def test_its_faults_arrive_as_a_providers_would(client: openai.OpenAI, acme: "Tenant") -> None:
    with pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model="sandbox-429", messages=HI)
    with pytest.raises(openai.APIError) as caught:
        list(client.chat.completions.create(model="sandbox-die-mid-stream", messages=HI, stream=True))
    assert caught.value.code == "upstream_disconnected"
    assert {record.status for record in acme.records(2)} == {429, 502}


def test_the_catalogue_offers_the_sandbox_under_the_names_it_knows(gateway: "GatewayProcess", sandbox: str) -> None:
    from apps.providers.catalogue import catalogue

    offered = {model.id for model in openai.OpenAI(base_url=sandbox, api_key="any").models.list()}
    assert {entry.name for entry in catalogue() if entry.provider == "sandbox"} == offered
