"""What has a price: the kinds, the tiers, and which kind pays for which bucket of usage."""

from types import MappingProxyType

# One column each, in USD per 1,000,000 units: tokens, images, seconds, characters, requests, searches.
TOKEN_KINDS = (
    "input",
    "cached_input",
    "cache_write_5m",
    "cache_write_1h",
    "output",
    "reasoning",
    "audio_input",
    "cached_audio_input",
    "audio_output",
    "image_input",
    "cached_image_input",
    "image_output",
)
OTHER_KINDS = ("per_image", "per_second", "per_character", "per_request", "per_search")
KINDS = TOKEN_KINDS + OTHER_KINDS

STANDARD = ""
TIERS = ("batch", "flex", "priority", "ultrafast")  # beside the standard one
# A provider that serves one of these, and no row says at what price, bills more than its standard prices.
DEARER_TIERS = frozenset({"priority", "ultrafast"})
# Providers' other words for a tier.
TIER_WORDS = MappingProxyType(
    {
        "": STANDARD,
        "default": STANDARD,
        "standard": STANDARD,
        "standard_only": STANDARD,
        "auto": STANDARD,
        "on_demand": STANDARD,
        "fast": "priority",
        **{tier: tier for tier in TIERS},
    }
)

# The kinds that may pay for a bucket of apps.providers.usage, best first. A cached or written token without a price of its own
# costs what an uncached one does, and sound and pictures without one are billed as text.
TOKEN_BUCKETS = MappingProxyType(
    {
        "input": ("input",),
        "cache_read": ("cached_input", "input"),
        "cache_write_5m": ("cache_write_5m", "input"),
        "cache_write_1h": ("cache_write_1h", "cache_write_5m", "input"),
        "output": ("output",),
        "audio_input": ("audio_input", "input"),
        "audio_cache_read": ("cached_audio_input", "audio_input", "input"),
        "audio_output": ("audio_output", "output"),
        "image_input": ("image_input", "input"),
        "image_cache_read": ("cached_image_input", "image_input", "input"),
        "image_output": ("image_output", "output"),
        "reasoning": ("reasoning",),  # inside `output`, and billed apart only where it has a price
    }
)
MEASURES = MappingProxyType(
    {"images": "per_image", "seconds": "per_second", "characters": "per_character", "searches": "per_search"}
)
