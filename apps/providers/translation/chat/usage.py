"""Usage in the words of OpenAI's chat. Pure."""

from apps.providers.translation.form import Json
from apps.providers.usage import Usage, cached_sum, input_sum, output_sum


def chat_usage(usage: Usage) -> Json:
    """The `usage` object: totals that include what their details name."""
    inputs, outputs = input_sum(usage), output_sum(usage)
    said: Json = {
        "prompt_tokens": inputs,
        "completion_tokens": outputs,
        "total_tokens": inputs + outputs,
        "prompt_tokens_details": {
            "cached_tokens": cached_sum(usage),
            "audio_tokens": (usage.audio_input or 0) + (usage.audio_cache_read or 0),
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning or 0,
            "audio_tokens": usage.audio_output or 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    if written := (usage.cache_write_5m or 0) + (usage.cache_write_1h or 0):
        said["prompt_tokens_details"]["cache_write_tokens"] = written
    return said
