"""From a URL to what each library wants: Django's database dict, Celery's broker."""

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


def django_database(url: str) -> dict[str, Any]:
    """Django's settings for a `postgresql://` URL; the host may be a socket folder (`?host=/run/postgresql`).

    Raises ValueError for another scheme.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ValueError("DATABASE_URL must start with postgresql://")
    options = dict(parse_qsl(parts.query))
    host = options.pop("host", "") or unquote(parts.hostname or "")
    return {
        "ENGINE": "apps.core.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "tollgate",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": str(parts.port or options.pop("port", "")),
        "OPTIONS": options,
        "CONN_MAX_AGE": 0,  # under ASGI a kept connection belongs to a thread that may never come back
        "CONN_HEALTH_CHECKS": False,
    }


def libpq_url(url: str) -> str:
    """The same URL for psycopg, which knows `postgresql://` only."""
    return "postgresql" + url.removeprefix("postgresql").removeprefix("postgres")


def celery_url(url: str) -> str:
    """kombu's spelling of a Redis URL: a socket is `redis+socket://` there and `unix://` in redis-py."""
    if url.startswith("unix://"):
        address, _, query = url.removeprefix("unix://").partition("?")
        return "redis+socket://" + address + ("?" + query.replace("db=", "virtual_host=") if query else "")
    return url
