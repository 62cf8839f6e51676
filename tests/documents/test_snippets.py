"""What the documents tell people to paste, parses; the commands, options and metrics they name, exist."""

import ast
import json
import re
import shlex
import shutil
import subprocess

import pytest
from django.core.management import get_commands, load_command_class

from apps.core.tenancy import ROLES
from tests.documents.markdown import DOCUMENTS, ROOT, Snippet, code, rows, snippets

SHELL = snippets("sh")
_ASSIGNMENT = re.compile(r"\w+=.*")


def each(found: list[Snippet]) -> pytest.MarkDecorator:
    assert found, "nothing to test: the documents' languages have changed"
    return pytest.mark.parametrize("snippet", found, ids=lambda snippet: snippet.where)


@each(snippets("python"))
def test_python_parses(snippet: Snippet):
    ast.parse(snippet.text)


@each(SHELL)
def test_shell_parses(snippet: Snippet):
    run = subprocess.run(["bash", "-n"], input=snippet.text, capture_output=True, text=True)

    assert run.returncode == 0, run.stderr


@each(snippets("json"))
def test_json_parses(snippet: Snippet):
    json.loads(snippet.text)


@each(snippets("js"))
@pytest.mark.skipif(not shutil.which("node"), reason="Node is not installed, and nothing else reads JavaScript")
def test_javascript_parses(snippet: Snippet):
    run = subprocess.run(["node", "--input-type=module", "--check"], input=snippet.text, capture_output=True, text=True)

    assert run.returncode == 0, run.stderr


def _calls() -> list[tuple[str, list[str], str]]:
    """Every `manage.py COMMAND ARGUMENTS…` in shell snippets and in backticks, with where it stands."""
    lines = [(line, snippet.where) for snippet in SHELL for line in snippet.text.replace("\\\n", " ").splitlines()]
    lines += [(words, page.name) for page in DOCUMENTS for words in code(page.read_text()) if "\n" not in words]
    found = []
    for line, where in lines:
        for call in re.findall(r"(?<![\w/])(?:\.venv/bin/python |python )?manage\.py ([a-z_][^|)#]*)", line):
            command, *arguments = shlex.split(call)
            found.append((command, arguments, where))
    return found


CALLS = _calls()


@pytest.mark.parametrize(("command", "arguments", "where"), CALLS, ids=lambda value: str(value)[:40])
def test_commands_and_options_that_are_named_exist(command: str, arguments: list[str], where: str):
    commands = get_commands()
    assert command in commands, f"{where}: there is no manage.py {command}"
    application = commands[command]
    assert isinstance(application, str)
    parser = load_command_class(application, command).create_parser("manage.py", command)
    known = {option for action in parser._actions for option in action.option_strings}
    assert {word for word in arguments if word.startswith("--")} <= known, where


def test_every_command_of_ours_is_listed():
    listed = {words.split()[0] for row in rows(ROOT / "docs/commands.md") for words in code(row[0])}
    ours = {name for name, application in get_commands().items() if str(application).startswith("apps.")}

    assert ours <= listed


def test_make_targets_that_are_named_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        target
        for text in [*(page.read_text() for page in DOCUMENTS)]
        for target in re.findall(r"(?:`|^)(?:[A-Z_]+=\S+ )*make ([a-z]+)", text, re.MULTILINE)
    }

    assert named
    assert named <= targets


def test_metrics_that_are_named_exist():
    defined = set(re.findall(r'"(tollgate_\w+)"', (ROOT / "apps/gateway/metrics.py").read_text()))
    named = {
        re.sub(r"_bucket$", "", name)
        for page in DOCUMENTS
        for name in re.findall(r"`[^`]*?\b(tollgate_\w+)", page.read_text())
    } - {"tollgate_token", *ROLES}

    assert named
    assert named <= defined
