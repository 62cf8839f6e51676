"""The dialects that translation knows, by endpoint. Pure."""

from collections.abc import Mapping

from apps.core import endpoints
from apps.providers.translation import chat, messages
from apps.providers.translation.spoken import Spoken

SPOKEN: Mapping[str, Spoken] = {
    endpoints.CHAT_COMPLETIONS: chat.SPOKEN,
    endpoints.MESSAGES: messages.SPOKEN,
}
