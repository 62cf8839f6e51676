"""One URL for a database, read by Django, psycopg and Celery alike."""

from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import redis
from kombu import Connection
from psycopg.conninfo import conninfo_to_dict

from apps.core.databases import celery_url, django_database, libpq_url

URLS: list[tuple[str, dict[str, str], dict[str, str]]] = [
    (
        "postgresql://tollgate:p%40ss%2Fword@db.example:6432/gate?sslmode=require",
        {"NAME": "gate", "USER": "tollgate", "PASSWORD": "p@ss/word", "HOST": "db.example", "PORT": "6432"},
        {"sslmode": "require"},
    ),
    (
        "postgres:///gate?host=/run/postgresql&port=5433",
        {"NAME": "gate", "USER": "", "PASSWORD": "", "HOST": "/run/postgresql", "PORT": "5433"},
        {},
    ),
    (
        "postgresql://u@[::1]/my%20gate",
        {"NAME": "my gate", "USER": "u", "PASSWORD": "", "HOST": "::1", "PORT": ""},
        {},
    ),
    (
        "postgresql://u@%2Frun%2Fpostgresql/gate",
        {"NAME": "gate", "USER": "u", "PASSWORD": "", "HOST": "/run/postgresql", "PORT": ""},
        {},
    ),
]


@pytest.mark.parametrize(("url", "expected", "options"), URLS)
def test_django_and_psycopg_read_the_same_out_of_a_url(
    url: str, expected: dict[str, str], options: dict[str, str]
) -> None:
    database: dict[str, Any] = django_database(url)
    assert {name: database[name] for name in expected} == expected
    assert database["OPTIONS"] == options

    named = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    parsed = conninfo_to_dict(libpq_url(url))
    assert {name: str(parsed.get(theirs, "")) for name, theirs in named.items()} == expected


def test_a_url_without_a_name_means_the_database_tollgate() -> None:
    assert django_database("postgresql://db.example")["NAME"] == "tollgate"


@pytest.mark.parametrize("url", ["", "mysql://db/gate", "sqlite:///gate.db", "db.example/gate"])
def test_another_kind_of_database_is_refused_by_the_variables_name(url: str) -> None:
    with pytest.raises(ValueError, match="DATABASE_URL must start with postgresql://"):
        django_database(url)


@pytest.mark.parametrize("number", [0, 3])
def test_celery_and_the_cache_meet_in_the_same_store(number: int) -> None:
    from django.conf import settings

    # redis-py reads the number of the database from the query of any URL; Celery from the path, where there is one.
    url = settings.REDIS_URL.partition("?")[0]
    url += f"?db={number}" if url.startswith("unix:") else f"/{number}" if urlsplit(url).path in ("", "/") else ""
    name = f"test-{uuid4().hex}"
    with redis.Redis.from_url(url) as store, Connection(celery_url(url)) as celery:
        try:
            with celery.SimpleQueue(name) as queue:
                queue.put("hello")
            assert store.llen(name) == 1
        finally:
            store.delete(name, f"_kombu.binding.{name}")


def test_a_socket_url_keeps_its_other_options_for_celery() -> None:
    assert celery_url("unix:///run/valkey.sock") == "redis+socket:///run/valkey.sock"
    assert celery_url("unix:///run/valkey.sock?db=3") == "redis+socket:///run/valkey.sock?virtual_host=3"
    assert celery_url("rediss://store.example:6380/3") == "rediss://store.example:6380/3"
