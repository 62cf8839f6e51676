"""A real browser before the control plane: Debian's Chromium, driven by Playwright.

    with chromium() as browser, watched(browser.new_page()) as page:
        page.goto(...)                              # complains at its end about script errors and failed requests

The pages' server is another thread (pytest-django's `live_server`) or another process.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.gateway import eventually

CHROMIUM = Path("/usr/bin/chromium")
_NAME = "tollgate-browser-tests"  # of the server's connections to PostgreSQL

needs_chromium = pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium: apt-get install chromium")


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A browser. At its end the test database is free of the live server's connections, and can be emptied."""
    with pytest.MonkeyPatch.context() as patch:
        # Playwright keeps an event loop running in this thread, which Django takes for asynchronous code.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        patch.setitem(connections.settings["default"]["OPTIONS"], "application_name", _NAME)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
            )
            try:
                yield browser
            finally:
                browser.close()
                connections.close_all()  # those of Playwright's loop, which end with it unclosed otherwise
        # The server's threads end after the browser has gone.
        eventually(_server_is_gone, what="the server's connections to the database are closed")


@contextlib.contextmanager
def watched(page: Page, *, but: str = "") -> Iterator[Page]:
    """The page, which must neither throw, nor log an error, nor meet one of the server's; `but`: words of those expected."""
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("response", lambda answer: complaints.append(answer.url) if answer.status >= 500 else None)
    yield page
    assert [said for said in complaints if not but or but not in said] == [], complaints


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    found: Any = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return int(found)


def _server_is_gone() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = %s AND pid <> pg_backend_pid())",
            [_NAME],
        )
        return cursor.fetchone() == (False,)
