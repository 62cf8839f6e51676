"""The image and the Procfile name what exists."""

import re
import tomllib

from django.core.management import get_commands

from tests.documents.markdown import ROOT

# For development, made by the build itself, or left behind by tools.
NOT_IN_THE_IMAGE = {
    "bench",
    "bin",
    "docs",
    "examples",
    "requirements",
    "tests",
    "staticfiles",
    "node_modules",
    "__pycache__",
}
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_the_image_is_made_of_files_that_exist_and_reach_the_builder():
    ignored = (ROOT / ".dockerignore").read_text()
    sources = [
        word for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE) for word in line.split()[:-1]
    ]

    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source}\n" in ignored, source


def test_the_image_holds_every_folder_that_the_product_reads():
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and any(path.iterdir()) and path.name[0] != "."}
    for folder in sorted(folders - NOT_IN_THE_IMAGE):
        assert f"COPY {folder} {folder}\n" in DOCKERFILE


def test_the_image_runs_the_python_that_the_checkout_prefers():
    preferred = ".".join((ROOT / ".python-version").read_text().strip().split(".")[:2])

    assert set(re.findall(r"^FROM python:([\d.]+)-slim", DOCKERFILE, re.MULTILINE)) == {preferred}


def test_the_procfile_starts_commands_that_exist():
    lines = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())

    assert {"release", "web", "gateway", "console", "worker", "beat"} == lines.keys()
    for command in lines.values():
        match command.split():
            case ["python", "manage.py", name, *_]:
                assert name in get_commands()
            case ["celery", "--app", "config", name, *_]:
                assert name in ("worker", "beat")
            case _:
                raise AssertionError(command)


def test_the_license_is_the_one_that_the_project_declares():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["license"] == "Apache-2.0"
    assert "Apache License\n                           Version 2.0" in (ROOT / "LICENSE").read_text()
