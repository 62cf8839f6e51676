"""The dialects that translation knows, by endpoint. Pure."""

from collections.abc import Mapping

from apps.core import endpoints
from apps.providers.translation import chat, gemini, messages, responses
from apps.providers.translation.spoken import Spoken

SPOKEN: Mapping[str, Spoken] = {
    endpoints.CHAT_COMPLETIONS: chat.SPOKEN,
    endpoints.RESPONSES: responses.SPOKEN,
    endpoints.MESSAGES: messages.SPOKEN,
    endpoints.GENERATE_CONTENT: gemini.SPOKEN,
    endpoints.STREAM_GENERATE_CONTENT: gemini.SPOKEN,
}
