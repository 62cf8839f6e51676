"""Why an answer ended, in Gemini's words and in the canonical ones. Pure."""

from typing import Any

from apps.providers.translation.form import Failed, Finish
from apps.providers.translation.told import MESSAGE_MAX

_FILTERED = (
    "SAFETY",
    "RECITATION",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "LANGUAGE",
    "MODEL_ARMOR",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "PUP_LIMITED_DISABLED",
)
_READ: dict[str, Finish] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "OTHER": "stop",
    "CONTINUATION": "pause",
    **dict.fromkeys(_FILTERED, "content_filter"),
    **dict.fromkeys(
        (
            "MALFORMED_FUNCTION_CALL",
            "UNEXPECTED_TOOL_CALL",
            "TOO_MANY_TOOL_CALLS",
            "MISSING_THOUGHT_SIGNATURE",
            "MALFORMED_RESPONSE",
            "NO_IMAGE",
            "IMAGE_OTHER",
        ),
        "error",
    ),
}
_WRITTEN: dict[Finish, str] = {
    "": "STOP",
    "stop": "STOP",
    "stop_sequence": "STOP",
    "tool_calls": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "pause": "OTHER",
    "error": "OTHER",
}
MALFORMED_CALL = "MALFORMED_FUNCTION_CALL"


def finish_of(reason: object, *, called: bool) -> Finish:
    """Why an answer ended; `called`: it has called tools. What nobody knows is an end like any other."""
    finish = _READ.get(reason, "stop") if isinstance(reason, str) else "stop"
    return "tool_calls" if called and finish == "stop" else finish


def reason_of(finish: Finish) -> str:
    """Gemini's word for it."""
    return _WRITTEN[finish]


def failed_by(candidate: dict[str, Any]) -> Failed:
    """The failure that a candidate ended with."""
    reason, told = candidate.get("finishReason"), candidate.get("finishMessage")
    message = told if isinstance(told, str) and told else f"The model's answer failed: {reason}."
    return Failed(message=message[:MESSAGE_MAX], type="UNAVAILABLE", code=str(reason).lower(), status=502)
