"""Tags: `key=value`, by which budgets and records tell calls apart."""

import re

_TAG_KEY = re.compile(r"[a-z0-9_.-]{1,64}")
_TAG_VALUE_MAX = 128


def tag_text(key: str, value: str) -> str:
    """`key=value`, the key in lower case; empty if it cannot be a tag."""
    key, value = key.strip().lower(), value.strip()
    fits = _TAG_KEY.fullmatch(key) and 0 < len(value) <= _TAG_VALUE_MAX and value.isprintable()
    return f"{key}={value}" if fits else ""
