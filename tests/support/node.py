"""Node.js and the npm packages that tests/node locks."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "node"
_OLDEST = 20  # what the npm packages ask for


def installed_node() -> str:
    """The path of Node, with the locked packages installed. Skips, saying why, where that cannot be had."""
    found, reason = _installed()
    if reason:
        pytest.skip(reason)
    return found


@cache
def _installed() -> tuple[str, str]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return "", "Node.js and npm are not installed here"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.lstrip("v").partition(".")[0]) < _OLDEST:
        return "", f"the npm packages need Node.js {_OLDEST}; this is {version}"
    installed, wanted = FOLDER / "node_modules" / ".package-lock.json", FOLDER / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < wanted.stat().st_mtime:
        command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        try:
            done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=100)
        except subprocess.TimeoutExpired:
            return "", "npm could not install the locked packages within 100 s"
        if done.returncode:
            return "", f"npm could not install the locked packages: {done.stderr.strip()[-300:]}"
    return node, ""
