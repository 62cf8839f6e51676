"""A provider's refusal in the client's own words."""

import re

from apps.core.errors import GatewayError
from apps.providers.translation.form import Failed

CONTEXT_LENGTH = "context_length_exceeded"
_TOO_LONG = re.compile(
    r"prompt is too long|context[ _]length|context window|maximum context|input token count .* exceeds|too many tokens",
    re.IGNORECASE,
)
_OVERLOADED = 529  # Anthropic's own; others say 503


class UpstreamRefusal(GatewayError):
    """What the provider of another dialect has refused, and why. Not ours: it is relayed."""

    def __init__(self, failed: Failed, status: int) -> None:
        """`status`: HTTP's, as the provider gave it."""
        super().__init__(failed.message or f"The provider answered with status {status}.", param=failed.param or None)
        self.status = 503 if status == _OVERLOADED else status
        self.type = _type_of(self.status)
        self.code = failed.code or failed.type or f"upstream_{status}"
        if status in (400, 413) and _TOO_LONG.search(self.message):
            self.code = CONTEXT_LENGTH


def _type_of(status: int) -> str:
    if status == 429:
        return "rate_limit_error"
    return "server_error" if status >= 500 else "invalid_request_error"
