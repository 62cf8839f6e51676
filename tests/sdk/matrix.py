"""docs/matrix.md, made from the cells and their run: `python -m tests.sdk.matrix` prints it, `--write` runs all and writes it."""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from tests.sdk.cells import LOSSES, UNASKED, UNKNOWN, How, cells
from tests.sdk.clients import DIALECTS
from tests.sdk.features import FEATURES
from tests.sdk.upstreams import CHATS, UPSTREAMS, Upstream
from tests.sdk.upstreams import DIALECTS as OF_DIALECTS

PAGE = Path(__file__).parents[2] / "docs/matrix.md"
_TITLES: Mapping[str, str] = {
    "chat": "Clients of OpenAI's chat",
    "responses": "Clients of OpenAI's Responses",
    "messages": "Clients of Anthropic's Messages",
    "gemini": "Clients of Gemini",
}
_INTRO = """# The matrix

Which official client was tried against which provider, with what. Each cell is a test ([`tests/sdk`](../tests/sdk)): the client,
as its maker publishes it, calls a gateway, and the gateway calls a provider: simulated on a socket, with answers of the shapes that
the public API references show, and refusing what they do not allow. The answer is made from what arrives, so that it proves that
instructions, text, picture, tool and results have arrived unharmed. Text, calls, thoughts, the reason to end and the tokens are
compared with what the provider said.

| | |
|---|---|
| ✓ | kept, under a policy that refuses every loss (`--untranslatable strict`) |
| without `x` | answered without a hint, which `x-tollgate-dropped` names; `strict` refuses the call |
| refused: `x` | 400 `unsupported_parameter`, naming the field: an answer without it would be another |
| refused by it: `x` | the provider refuses the field: its own 400 or 422, as an error of the client's |
| not heeded by it: `x` | the provider answers as if the field were not there |
| none | the client's own API, or the provider's, has no words for it |

The first table of a dialect has one provider of each dialect, the second those whose chat is not quite OpenAI's. Clients of chat
ask these as they are, so that what one of them refuses is its own to say; requests of other clients are translated, and refused
before it is asked.

*Thinking*: chat has no field to ask for the text of thoughts. Its clients read it where the provider shows it unasked, and keep
its proof elsewhere. *Thoughts kept over tools*: the model thinks and calls two tools; beside their results it gets its thoughts
back, with its signature. *Failure in mid-stream*, *stream that breaks off*: the text until then, and then an error of the
client's own, never what looks like an end. Errors are those that the client knows: 429 as its error for rate limits, with the
time to wait where it reads one, and an overload as a status that it tries again. [Translation](translation.md) says more about
what is kept and lost, [providers](providers.md#what-is-changed-for-whom) what is changed for whom.
"""
_COMMAND = "python -m tests.sdk.matrix --write"


def render() -> str:
    """The page, as the cells promise it."""
    return "\n".join([_INTRO, *_providers(), *_sections(), f"Written by `{_COMMAND}`, once every cell has passed.", ""])


def _providers() -> Iterator[str]:
    yield "## Providers"
    yield ""
    yield "| provider | tried as |"
    yield "|---|---|"
    for upstream in UPSTREAMS:
        yield f"| {upstream.title} | `{upstream.provider}`, {upstream.about} |"
    yield ""


def _sections() -> Iterator[str]:
    for dialect, title in _TITLES.items():
        names = [f"`{name}`" for name, spoken in DIALECTS.items() if spoken == dialect]
        yield f"## {title}"
        yield ""
        yield f"{', '.join(names)}."
        yield ""
        for upstreams in (OF_DIALECTS, CHATS):
            yield from _table(dialect, upstreams)
        if reasons := _reasons(dialect):
            yield from (f"* {reason}." for reason in reasons)
            yield ""


def _table(dialect: str, upstreams: Sequence[Upstream]) -> Iterator[str]:
    yield f"| | {' | '.join(upstream.title for upstream in upstreams)} |"
    yield f"|---|{'---|' * len(upstreams)}"
    for name, feature in FEATURES.items():
        said = " | ".join(_said(dialect, upstream.name, name) for upstream in upstreams)
        yield f"| {feature.title} | {said} |"
    yield ""


_HOW: Mapping[How, str] = {
    "refused": "refused: `{}`",
    "hint": "without `{}`",
    "by it": "refused by it: `{}`",
    "unheeded": "not heeded by it: `{}`",
}


def _said(dialect: str, upstream: str, feature: str) -> str:
    if (dialect, feature) in UNASKED or (upstream, feature) in UNKNOWN:
        return "none"
    loss = LOSSES.get((dialect, upstream, feature))
    return "✓" if loss is None else _HOW[loss.how].format(loss.param)


def _reasons(dialect: str) -> list[str]:
    """Why, each once, in the tables' order."""
    found: dict[str, None] = {}
    for name in FEATURES:
        reasons = [UNASKED.get((dialect, name))]
        reasons += [UNKNOWN.get((upstream.name, name)) for upstream in UPSTREAMS]
        losses = (LOSSES.get((dialect, upstream.name, name)) for upstream in UPSTREAMS)
        reasons += [loss.reason for loss in losses if loss is not None]
        found |= {reason: None for reason in reasons if reason}
    return list(found)


def _passed() -> set[str]:
    """Run the cells; the names of those that have passed."""
    cells_of = str(Path(__file__).with_name("test_matrix.py"))
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", f"--junitxml={report}"]
        subprocess.run([*command, cells_of], check=False)
        cases = ElementTree.parse(report).iter("testcase") if report.exists() else ()
        return {case.get("name", "") for case in cases if len(case) == 0}


def main(arguments: list[str]) -> int:
    """Print, or run and write; 1 if any cell did not pass."""
    parser = argparse.ArgumentParser(prog="python -m tests.sdk.matrix", description=__doc__)
    parser.add_argument("--write", action="store_true", help="run every cell, and write the page if all of them pass")
    if not parser.parse_args(arguments).write:
        sys.stdout.write(render())
        return 0
    wanted = {f"test_cell[{cell}]" for cell in cells()}
    if missing := sorted(wanted - _passed()):
        sys.stderr.write(f"{len(missing)} cells have not passed, so that nothing is written: {missing[:5]}\n")
        return 1
    PAGE.write_text(render(), encoding="utf-8")
    sys.stderr.write(f"docs/{PAGE.name} shows {len(wanted)} cells that have passed.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
