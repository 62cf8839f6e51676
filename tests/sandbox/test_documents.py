"""The sandbox's page, its command line and Django's door to it say the same."""

import argparse
import os
import re
import subprocess
import sys

import pytest

from apps.providers.sandbox.catalogue import MODELS, SandboxModel
from apps.providers.sandbox.command import add_arguments
from tests.sandbox.conftest import ROOT

PAGE = (ROOT / "docs" / "sandbox.md").read_text()


@pytest.mark.parametrize("model", MODELS, ids=[model.name for model in MODELS])
def test_every_model_is_on_the_page_in_the_words_of_the_catalogue(model: SandboxModel) -> None:
    assert f"| `{model.name}` | {model.description} |" in PAGE


def test_every_option_is_on_the_page() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    options = {name for action in parser._actions for name in action.option_strings}
    assert options == set(re.findall(r"`(--[a-z-]+)", PAGE))


def test_model_names_are_unique_and_plain() -> None:
    names = [model.name for model in MODELS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"sandbox-[a-z0-9-]+", name) for name in names)


def test_the_django_command_is_the_same_server() -> None:
    settings = {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SECRET_KEY": "s" * 50,
        "SEALING_KEYS": f"test:{'A' * 43}=",
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",  # neither is asked for anything
        "REDIS_URL": "redis://127.0.0.1:1",
    }
    command = [sys.executable, "-m", "django", "sandbox", "--port", "0"]
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **settings}, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        line = process.stdout.readline()
        process.terminate()
        assert process.wait(timeout=5) == 0
    assert line.startswith("Sandbox provider listening on http://127.0.0.1:")
