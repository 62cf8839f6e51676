"""The official clients, each behind the same few words (tests/sdk/scenes.py)."""

from collections.abc import Callable, Mapping

from tests.sdk.clients.anthropic_messages import Messages
from tests.sdk.clients.google_genai import Gemini
from tests.sdk.clients.node import NODES
from tests.sdk.clients.openai_chat import Chat
from tests.sdk.clients.openai_responses import Responses
from tests.sdk.scenes import Client

# By name: what makes the client, of a gateway's address and a token. Node's are made of a process that they share.
PYTHON: Mapping[str, Callable[[str, str], Client]] = {
    "openai, chat": Chat,
    "openai, Responses": Responses,
    "AzureOpenAI, chat": lambda url, token: Chat(url, token, with_azure=True),
    "AzureOpenAI, Responses": lambda url, token: Responses(url, token, with_azure=True),
    "anthropic": Messages,
    "google-genai": Gemini,
}
DIALECTS: Mapping[str, str] = {
    "openai, chat": "chat",
    "openai, Responses": "responses",
    "AzureOpenAI, chat": "chat",
    "AzureOpenAI, Responses": "responses",
    "anthropic": "messages",
    "google-genai": "gemini",
    **NODES,
}
