"""What the names in `anthropic-beta` ask for, and which of them a provider does not know. Pure.

Agents send half a dozen with every call, and new ones with every release. Anthropic's API refuses a call for one that it does not
know, or that an account may not use; other servers that speak Messages know few or none.
"""

import re
from collections.abc import Collection, Mapping

HEADER = b"anthropic-beta"
OPENAI_HEADER = b"openai-beta"

# Where Messages are translated nothing is lost with these: they say who calls, or open fields of the body that are translated,
# named or refused for themselves, or ask for what translation does anyway. By their names without the date.
_KEPT = frozenset(
    {
        "claude-code",
        "oauth",
        "advanced-tool-use",
        "code-execution",
        "computer-use",
        "context-management",
        "effort",
        "extended-cache-ttl",
        "fast-mode",
        "files-api",
        "fine-grained-tool-streaming",
        "interleaved-thinking",
        "mcp-client",
        "pdfs",
        "prompt-caching",
        "prompt-caching-scope",
        "skills",
        "structured-outputs",
        "token-counting",
        "tool-examples",
        "tool-search-tool",
        "web-fetch",
        "web-search",
    }
)
# The same of OpenAI's, which are an API and its version: this one is translated.
_OPENAI_KEPT = "responses="
_DATE = re.compile(r"-(?:\d{4}-\d\d-\d\d|\d{8})$")
_REFUSES = re.compile(rb"anthropic.beta|beta (?:flag|header|feature)", re.IGNORECASE)


def betas_in(value: bytes) -> list[str]:
    """The names in the header, each once."""
    names = (name.strip() for name in value.decode("latin-1").split(","))
    return list(dict.fromkeys(name for name in names if name))


def field_of(name: str) -> str:
    """What one of them is called where a request's losses are told."""
    return f"anthropic-beta:{name}"


def without_betas(value: bytes, names: frozenset[str]) -> bytes:
    """The header without these names; empty: none is left."""
    return ",".join(name for name in betas_in(value) if name not in names).encode("latin-1")


def betas_lost(value: bytes) -> list[str]:
    """Those that nothing is known of which another dialect could keep."""
    return [name for name in betas_in(value) if _DATE.sub("", name) not in _KEPT]


def headers_lost(headers: Mapping[bytes, bytes], passed: Collection[bytes]) -> list[str]:
    """What a client's headers name that another dialect has no words for. `passed`: the headers that its own dialect has."""
    found: list[str] = []
    if HEADER in headers and HEADER in passed:
        found = [field_of(name) for name in betas_lost(headers[HEADER])]
    if OPENAI_HEADER in headers and OPENAI_HEADER in passed:
        names = betas_in(headers[OPENAI_HEADER])
        found += [f"openai-beta:{name}" for name in names if not name.startswith(_OPENAI_KEPT)]
    return found


def betas_refused(value: bytes, status: int, refusal: bytes) -> frozenset[str]:
    """Which of the names in the header this refusal is for: those that it repeats, or all if it says only that one is wrong."""
    if status != 400 or _REFUSES.search(refusal) is None:
        return frozenset()
    names = betas_in(value)
    said = {word.decode() for word in re.findall(rb"[A-Za-z0-9._-]+", refusal)}
    return frozenset(name for name in names if name in said) or frozenset(names)
