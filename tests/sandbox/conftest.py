"""The sandbox as its users run it: a process of its own, on a socket."""

import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import openai
import pytest

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def running(*options: str) -> Iterator[str]:
    """The base URL, `/v1` included, of a sandbox started with these options. Its clean exit is part of every test."""
    command = [sys.executable, "-m", "apps.providers.sandbox", "--port", "0", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().split()[4].rstrip(";")
        finally:
            process.terminate()
        assert process.wait(timeout=5) == 0


@pytest.fixture(scope="session")
def sandbox_url() -> Iterator[str]:
    with running() as url:
        yield url


@pytest.fixture
def client(sandbox_url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=sandbox_url, api_key="any", max_retries=0, timeout=10) as client:
        yield client


@pytest.fixture
async def async_client(sandbox_url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=sandbox_url, api_key="any", max_retries=0, timeout=10) as client:
        yield client
