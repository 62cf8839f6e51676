"""What a call used, in disjoint buckets, whatever words a provider has for them."""

from apps.providers.usage.answers import Answer, read_answer, read_images, read_message, read_rerank
from apps.providers.usage.anthropic import anthropic_usage, tell_later
from apps.providers.usage.buckets import (
    INPUT_BUCKETS,
    OUTPUT_BUCKETS,
    Usage,
    cached_sum,
    input_sum,
    output_sum,
    tier_name,
    token_sum,
)
from apps.providers.usage.cohere import cohere_usage
from apps.providers.usage.columns import MISMATCH_FLAG, from_columns, to_columns
from apps.providers.usage.estimates import completed, is_error, written_size, written_tokens
from apps.providers.usage.gemini import gemini_searches, gemini_usage
from apps.providers.usage.openai import (
    images_usage,
    openai_searches,
    openai_usage,
    speech_tokens,
    speech_usage,
    transcription_usage,
)

__all__ = [
    "INPUT_BUCKETS",
    "MISMATCH_FLAG",
    "OUTPUT_BUCKETS",
    "Answer",
    "Usage",
    "anthropic_usage",
    "cached_sum",
    "cohere_usage",
    "completed",
    "from_columns",
    "gemini_searches",
    "gemini_usage",
    "images_usage",
    "input_sum",
    "is_error",
    "openai_searches",
    "openai_usage",
    "output_sum",
    "read_answer",
    "read_images",
    "read_message",
    "read_rerank",
    "speech_tokens",
    "speech_usage",
    "tell_later",
    "tier_name",
    "to_columns",
    "token_sum",
    "transcription_usage",
    "written_size",
    "written_tokens",
]
