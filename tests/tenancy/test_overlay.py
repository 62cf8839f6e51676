"""The example of an overlay, started as its page says: its tables, its rules, its pages, its signals."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import psycopg
import pytest
from django.conf import settings

from tests.support.gateway import ROOT, GatewayProcess, free_port

OVERLAY = ROOT / "examples/overlay"
BY_VARIABLES = {
    "PYTHONPATH": str(OVERLAY),
    "TENANCY": "acme_overlay.tenancy.Plans",
    "TOLLGATE_EXTRA_APPS": "acme_overlay",
    "TOLLGATE_EXTRA_URLS": "acme_overlay.urls",
}
BY_SETTINGS = {"PYTHONPATH": f"{OVERLAY}:{ROOT}", "DJANGO_SETTINGS_MODULE": "overlay_settings"}

ORGANIZATIONS = """
import json
from apps.core.actor import Actor
from apps.orgs.actions import organization_create, owner_create, sign_in_link_issue
from apps.services.actions import service_create
from django.core.exceptions import ValidationError
from acme_overlay.models import Plan
actor = Actor.system("command")
links = []
for slug in ("acme", "zeta"):
    made = organization_create(name=slug.title(), slug=slug, actor=actor)
    owner = owner_create(organization=made, email=f"owner@{slug}.test", password=None, actor=actor)
    links.append(sign_in_link_issue(user=owner, actor=actor))
Plan.objects.filter(organization__slug="zeta").update(tier="team")
refused = {}
for plan in Plan.objects.select_related("organization"):
    service_create(organization=plan.organization, name="a", actor=actor)
    try:
        service_create(organization=plan.organization, name="b", actor=actor)
    except ValidationError as refusal:
        refused[plan.organization.slug] = refusal.messages
print(json.dumps({"links": links, "refused": refused}))
"""


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """A database of its own: the overlay has tables that Tollgate has not. Its URL."""
    name = f"overlay_{uuid4().hex[:12]}"
    with psycopg.connect(settings.DATABASE_URL, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    yield urlsplit(settings.DATABASE_URL)._replace(path=f"/{name}").geturl()
    with psycopg.connect(settings.DATABASE_URL, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def manage(database: str, *words: str, variables: dict[str, str] = BY_VARIABLES) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DATABASE_URL": database, **variables}
    return subprocess.run(
        [sys.executable, ROOT / "manage.py", *words], env=environment, capture_output=True, text=True, timeout=110
    )


@pytest.fixture(scope="module")
def made(database: str) -> dict[str, list[str]]:
    """Two organizations on two plans: the links that sign their owners in, and what was refused."""
    migrated = manage(database, "migrate", "--verbosity", "0")
    assert migrated.returncode == 0, migrated.stderr
    ran = manage(database, "shell", "--verbosity", "0", "-c", ORGANIZATIONS)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def test_its_rules_hold_and_its_receivers_run(made: dict[str, dict[str, list[str]]]) -> None:
    assert list(made["refused"]) == ["acme"]
    assert "Acme may have 1 services, and has as many" in made["refused"]["acme"][0]


def test_its_migrations_are_complete_and_its_tables_isolated(database: str, made: object) -> None:
    for variables in (BY_VARIABLES, BY_SETTINGS):
        checked = manage(database, "check", "--database", "default", "--fail-level", "ERROR", variables=variables)
        assert checked.returncode == 0, checked.stderr
        complete = manage(database, "makemigrations", "--check", "--dry-run", "acme_overlay", variables=variables)
        assert complete.returncode == 0, complete.stdout


def test_its_pages_show_each_organization_its_own_without_a_filter(
    database: str, made: dict[str, list[str]], tmp_path: Path
) -> None:
    told = []
    with GatewayProcess(
        {**BY_VARIABLES, "DATABASE_URL": database, "PUBLIC_URL": f"http://127.0.0.1:{free_port()}"}
    ) as process:
        for link in made["links"]:
            with httpx.Client(base_url=process.url, follow_redirects=False, timeout=20) as browser:
                assert browser.get("/plan/").status_code == 302
                browser.get(link)
                sent = browser.post(link, data={"csrfmiddlewaretoken": browser.cookies["csrftoken"]})
                assert sent.status_code == 302, sent.text
                page = browser.get("/plan/")
                assert page.status_code == 200
                told.append(page.text)

    assert "Acme is on the Free plan." in told[0]
    assert "Zeta is on the Team plan." in told[1]
