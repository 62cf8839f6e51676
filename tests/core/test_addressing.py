"""How each kind of provider is called: the path of every endpoint, and the header that carries the secret."""

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core import endpoints
from apps.providers.addressing import authentication, secret_is_sendable, targets
from apps.providers.kinds import KINDS, trimmed
from apps.providers.kinds import OPENAI_PATHS as PATHS

CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES, IMAGES, SPEECH, REALTIME, MODELS = (
    endpoints.CHAT_COMPLETIONS,
    endpoints.COMPLETIONS,
    endpoints.EMBEDDINGS,
    endpoints.RESPONSES,
    endpoints.IMAGES,
    endpoints.SPEECH,
    endpoints.REALTIME,
    endpoints.MODELS,
)


@pytest.mark.parametrize(
    ("base_url", "chat"),
    [
        ("https://api.openai.com/v1", "/v1/chat/completions"),
        ("https://api.openai.com/v1/", "/v1/chat/completions"),
        ("https://host", "/chat/completions"),
        ("https://host/a%2Fb/v1", "/a%2Fb/v1/chat/completions"),
        ("https://host/größe", "/gr%C3%B6%C3%9Fe/chat/completions"),
        ("https://host/with space", "/with%20space/chat/completions"),
    ],
)
@pytest.mark.parametrize("provider", ["openai", "openai_compatible", "sandbox"])
def test_paths_are_appended_to_the_base_url(provider: str, base_url: str, chat: str) -> None:
    found = targets(provider, base_url, "", "gpt-test")
    assert found[CHAT] == chat
    assert found.keys() == KINDS[provider].paths.keys()
    assert found[MODELS] == chat.removesuffix("chat/completions") + "models"


@pytest.mark.parametrize("suffix", ["", "/", "/openai", "/openai/", "/openai/v1", "/openai/v1/"])
def test_azures_base_url_may_be_written_in_any_of_its_ways(suffix: str) -> None:
    base = "https://resource.openai.azure.com" + suffix
    assert targets("azure_openai", base, "", "dep") == {
        CHAT: "/openai/v1/chat/completions",
        RESPONSES: "/openai/v1/responses",
        COMPLETIONS: "/openai/v1/completions",
        EMBEDDINGS: "/openai/v1/embeddings",
        IMAGES: "/openai/v1/images/generations",
        SPEECH: "/openai/v1/audio/speech",
        endpoints.TRANSCRIPTIONS: "/openai/v1/audio/transcriptions",
        endpoints.AUDIO_TRANSLATIONS: "/openai/v1/audio/translations",
        endpoints.IMAGE_EDITS: "/openai/v1/images/edits",
        endpoints.FILES: "/openai/v1/files",
        endpoints.BATCHES: "/openai/v1/batches",
        endpoints.STORED_RESPONSES: "/openai/v1/responses",
        REALTIME: "/openai/v1/realtime",
        MODELS: "/openai/v1/models",
    }
    assert targets("azure_openai", base, "2024-10-21", "dep") == {
        CHAT: "/openai/deployments/dep/chat/completions?api-version=2024-10-21",
        RESPONSES: "/openai/responses?api-version=2024-10-21",
        COMPLETIONS: "/openai/deployments/dep/completions?api-version=2024-10-21",
        EMBEDDINGS: "/openai/deployments/dep/embeddings?api-version=2024-10-21",
        IMAGES: "/openai/deployments/dep/images/generations?api-version=2024-10-21",
        SPEECH: "/openai/deployments/dep/audio/speech?api-version=2024-10-21",
        endpoints.TRANSCRIPTIONS: "/openai/deployments/dep/audio/transcriptions?api-version=2024-10-21",
        endpoints.AUDIO_TRANSLATIONS: "/openai/deployments/dep/audio/translations?api-version=2024-10-21",
        endpoints.IMAGE_EDITS: "/openai/deployments/dep/images/edits?api-version=2024-10-21",
        endpoints.FILES: "/openai/files?api-version=2024-10-21",
        endpoints.BATCHES: "/openai/batches?api-version=2024-10-21",
        endpoints.STORED_RESPONSES: "/openai/responses?api-version=2024-10-21",
        REALTIME: "/openai/realtime?api-version=2024-10-21",
        MODELS: "/openai/models?api-version=2024-10-21",
    }


@pytest.mark.parametrize(
    ("provider", "base_url", "endpoint", "path"),
    [
        ("anthropic", "https://api.anthropic.com", endpoints.MESSAGES, "/v1/messages"),
        ("anthropic", "https://api.anthropic.com/v1/", endpoints.MESSAGES, "/v1/messages"),
        (
            "anthropic",
            "https://api.deepseek.com/anthropic",
            endpoints.COUNT_TOKENS,
            "/anthropic/v1/messages/count_tokens",
        ),
        ("gemini", "https://generativelanguage.googleapis.com/v1beta", MODELS, "/v1beta/models?pageSize=1000"),
        ("gemini", "https://generativelanguage.googleapis.com/v1beta/openai/", MODELS, "/v1beta/models?pageSize=1000"),
        ("cohere", "https://api.cohere.com/compatibility/v1", CHAT, "/compatibility/v1/chat/completions"),
        ("cohere", "https://api.cohere.com/v2", EMBEDDINGS, "/compatibility/v1/embeddings"),
        ("deepseek", "https://api.deepseek.com", CHAT, "/chat/completions"),
        ("deepseek", "https://api.deepseek.com/beta", CHAT, "/beta/chat/completions"),
        ("openrouter", "https://openrouter.ai/api/v1", MODELS, "/api/v1/models/user"),
        ("ollama", "http://localhost:11434/v1", RESPONSES, "/v1/responses"),
    ],
)
def test_each_provider_is_called_where_it_listens(provider: str, base_url: str, endpoint: str, path: str) -> None:
    assert targets(provider, base_url, "", "some/model")[endpoint] == path


def test_an_endpoint_that_a_provider_does_not_have_is_not_addressed() -> None:
    assert RESPONSES not in targets("mistral", KINDS["mistral"].base_url, "", "m")
    assert EMBEDDINGS not in targets("groq", KINDS["groq"].base_url, "", "m")
    for provider in ("anthropic", "gemini"):
        assert CHAT not in targets(provider, KINDS[provider].base_url, "", "m")


@pytest.mark.parametrize("provider", KINDS)
def test_every_usual_base_url_is_as_it_is_kept(provider: str) -> None:
    usual = KINDS[provider].base_url
    assert trimmed(provider, usual) == usual
    assert all(target.startswith("/") for target in targets(provider, usual, "", "m").values())
    assert MODELS in targets(provider, usual, "", "m"), "a credential is tested by its list of models"


@given(st.sampled_from(["openai", "azure_openai"]), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_nothing_written_into_a_credential_or_model_leaves_its_place(
    provider: str, path: str, api_version: str, model: str
) -> None:
    try:
        base_url = urlsplit(f"https://host/{path}").geturl()
        found = targets(provider, base_url, api_version, model)
    except (ValueError, UnicodeError):
        return  # no URL: it is refused when it is saved
    for name, target in found.items():
        assert target.startswith("/")
        assert target.isascii()
        assert not any(letter.isspace() or not letter.isprintable() for letter in target)
        assert target.partition("?")[0].endswith(PATHS[name])
        assert target.count("?") == (provider == "azure_openai" and api_version != "")
    if provider == "azure_openai" and api_version:
        deployment = found[CHAT].partition("?")[0].removesuffix("/chat/completions").rpartition("/")[2]
        assert unquote(deployment, errors="strict") == model


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        ("openai", {"authorization": "Bearer s3cret"}),
        ("openai_compatible", {"authorization": "Bearer s3cret"}),
        ("azure_openai", {"api-key": "s3cret"}),
        ("anthropic", {"x-api-key": "s3cret"}),
        ("gemini", {"x-goog-api-key": "s3cret"}),
        ("cohere", {"authorization": "Bearer s3cret"}),
        ("openrouter", {"authorization": "Bearer s3cret"}),
    ],
)
def test_the_secret_goes_where_the_provider_looks_for_it(provider: str, expected: dict[str, str]) -> None:
    assert authentication(provider, "s3cret") == expected
    assert authentication(provider, "") == {}


@given(st.text())
def test_a_secret_that_could_end_its_header_is_not_sendable(secret: str) -> None:
    assert secret_is_sendable(secret) == all(" " <= letter <= "~" for letter in secret)
