"""How providers' names of models begin, so that what a provider publishes tomorrow can be asked of it today. Pure.

A provider that is not here has names that its account or its operator gave: Azure's deployments, and what somebody's own server
runs. Nothing is asked there that is not listed.
"""

from collections.abc import Mapping

# As the providers' own lists of models have them, and of no two providers the same. Without any, as where the models of many makers
# are served: only what is spelled as provider/model is asked there.
PREFIXES: Mapping[str, tuple[str, ...]] = {
    "openai": (
        "chatgpt-",
        "codex-",
        "computer-use-",
        "dall-e-",
        "gpt-",
        "o1-",
        "o3-",
        "o4-",
        "omni-moderation-",
        "text-embedding-3-",
        "text-embedding-ada-",
        "text-moderation-",
        "tts-",
        "whisper-",
    ),
    "anthropic": ("claude-",),
    "gemini": ("embedding-00", "gemini-", "gemma-", "learnlm-", "text-embedding-00"),
    "mistral": (
        "codestral-",
        "devstral-",
        "magistral-",
        "ministral-",
        "mistral-",
        "open-mistral-",
        "open-mixtral-",
        "pixtral-",
        "voxtral-",
    ),
    "cohere": ("c4ai-", "command-", "embed-", "rerank-"),
    "groq": (),
    "deepseek": ("deepseek-",),
    "xai": ("grok-",),
    "together": (),
    "fireworks": ("accounts/fireworks/models/",),
    "openrouter": (),
    "cerebras": (),
    "moonshot": ("kimi-", "moonshot-"),
}
# Begin as a provider's names do, and are weights that everybody but the provider serves.
_ELSEWHERE = ("gpt-oss",)
# Marks of names that are somebody else's: a maker before a slash, a tag after a colon.
_FOREIGN = frozenset("/:")

_BY_PREFIX = sorted(
    ((prefix, provider) for provider, prefixes in PREFIXES.items() for prefix in prefixes), reverse=True
)


def provider_by_prefix(name: str) -> str:
    """The provider whose names begin as this one does; empty: nobody's do."""
    for prefix, provider in _BY_PREFIX:
        if name.startswith(prefix):
            rest = name[len(prefix) :]
            return provider if rest and _FOREIGN.isdisjoint(rest) and not name.startswith(_ELSEWHERE) else ""
    return ""
