"""What to tell whoever starts an installation that nobody can sign in to yet."""

import psycopg
from django.conf import settings

from apps.core.databases import libpq_url

_SECONDS = 3  # for PostgreSQL to answer: a gateway also starts without it


def setup_hint() -> str:
    """Where the first person goes, and how to get the code; empty where somebody can sign in, or PostgreSQL does not say."""
    options = f"-c statement_timeout={_SECONDS * 1000}"
    try:
        with psycopg.connect(libpq_url(settings.DATABASE_URL), connect_timeout=_SECONDS, options=options) as connection:
            found = connection.execute("SELECT EXISTS (SELECT FROM orgs_user)").fetchone()
    except psycopg.Error:
        return ""
    if found == (True,):
        return ""
    return (
        f"Nobody has set this installation up yet: open {settings.PUBLIC_URL}/setup/ and enter the code that"
        " `manage.py setup_code` prints."
    )
