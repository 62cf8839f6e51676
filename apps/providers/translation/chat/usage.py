"""Usage in the words of OpenAI's chat. Pure."""

from apps.providers.translation.form import Json
from apps.providers.usage import INPUT_BUCKETS, OUTPUT_BUCKETS, Usage

_READ = ("cache_read", "audio_cache_read", "image_cache_read")
_WRITTEN = ("cache_write_5m", "cache_write_1h")


def chat_usage(usage: Usage) -> Json:
    """The `usage` object: totals that include what their details name."""
    inputs, outputs = _sum(usage, INPUT_BUCKETS), _sum(usage, OUTPUT_BUCKETS)
    said: Json = {
        "prompt_tokens": inputs,
        "completion_tokens": outputs,
        "total_tokens": inputs + outputs,
        "prompt_tokens_details": {
            "cached_tokens": _sum(usage, _READ),
            "audio_tokens": _sum(usage, ("audio_input", "audio_cache_read")),
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning or 0,
            "audio_tokens": usage.audio_output or 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    if written := _sum(usage, _WRITTEN):
        said["prompt_tokens_details"]["cache_write_tokens"] = written
    return said


def _sum(usage: Usage, buckets: tuple[str, ...]) -> int:
    return sum(getattr(usage, bucket) or 0 for bucket in buckets)
