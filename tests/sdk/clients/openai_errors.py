"""What OpenAI's client raises, in the scenes' words."""

import openai

from tests.sdk.scenes import Refused


def refused(exc: openai.APIError, begun: str) -> Refused:
    """An error of the client's; `begun`: what it had given until then."""
    if isinstance(exc, openai.APIStatusError):
        after = exc.response.headers.get("retry-after", "")
        return Refused(exc.status_code, type(exc).__name__, exc.message, after, begun, exc.param or "")
    return Refused(0, type(exc).__name__, exc.message, "", begun, exc.param or "")
