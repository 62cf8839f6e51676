"""The one door to the environment: typed and loud. Settings and commands read it through nothing else.

Every variable is listed in docs/configuration.md; a test compares that page with the calls of `env` in settings.
"""

import ipaddress
import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from django.core.exceptions import ImproperlyConfigured

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def env[T](name: str, parse: Callable[[str], T], default: str | None = None) -> T:
    """NAME, or the contents of the file at NAME_FILE. An empty value counts as unset.

    Raises ImproperlyConfigured naming the variable, never its value: the value may be a key.
    """
    path = os.environ.get(f"{name}_FILE")
    if path:
        try:
            raw: str | None = Path(path).read_text(encoding="utf-8").strip() or default
        except (OSError, UnicodeDecodeError):
            raise ImproperlyConfigured(f"{name}_FILE: the file it names cannot be read") from None
    else:
        raw = os.environ.get(name) or default
    if raw is None:
        raise ImproperlyConfigured(f"{name} is required: set it, or {name}_FILE to a file that holds it")
    try:
        return parse(raw)
    except ValueError:
        expected = (parse.__doc__ or parse.__name__).split("\n", 1)[0].rstrip(".")
        raise ImproperlyConfigured(f"{name}: expected {expected}") from None


def text(raw: str) -> str:
    """text."""
    return raw


def boolean(raw: str) -> bool:
    """true or false."""
    return {"true": True, "false": False}[raw.lower()] if raw.lower() in {"true", "false"} else _refuse()


def seconds(raw: str) -> float:
    """a number of seconds above 0, such as 60 or 0.5."""
    value = float(raw)
    return value if 0 < value < float("inf") else _refuse()


def whole(raw: str) -> int:
    """a whole number of 0 or more."""
    return int(raw) if raw.isascii() and raw.isdigit() else _refuse()


def size(raw: str) -> int:
    """a size in bytes above 0, such as 1048576, 512K, 32M or 2G."""
    factor = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(raw[-1:].upper(), 1)
    number = raw if factor == 1 else raw[:-1]
    value = whole(number) * factor
    return value or _refuse()


def rate(raw: str) -> str:
    """a count for each second, minute, hour or day, such as 600/m."""
    count, _slash, unit = raw.partition("/")
    return raw if whole(count) and unit in {"s", "m", "h", "d"} else _refuse()


def header(raw: str) -> str:
    """the name of a request header, such as X-End-User."""
    name = raw.strip().lower()
    return name if not name or (name.isascii() and name.replace("-", "").replace("_", "").isalnum()) else _refuse()


def words(raw: str) -> list[str]:
    """a list separated by commas."""
    return [word for part in raw.split(",") if (word := part.strip())]


def networks(raw: str) -> tuple[Network, ...]:
    """address ranges separated by commas, such as 10.0.0.0/8,127.0.0.1."""
    return tuple(ipaddress.ip_network(word, strict=False) for word in words(raw))


def log_level(raw: str) -> str:
    """one of debug, info, warning, error."""
    return raw.upper() if raw.lower() in {"debug", "info", "warning", "error"} else _refuse()


def path(raw: str) -> Path:
    """a path."""
    return Path(raw).expanduser().resolve()


def _refuse() -> NoReturn:
    raise ValueError
