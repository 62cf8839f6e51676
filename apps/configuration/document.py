"""A configuration file as text, read into values that know where they stand. Pure.

YAML without what surprises: no anchors, aliases, tags, merging or several documents, and no word is guessed to be a number, a
truth or a date beyond `true`, `false`, `null` and plain decimals. Numbers with a point are Decimal, as they may be money. Nothing
is built before its bounds are known, so that no small file can become a large one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import yaml

MAX_BYTES = 4_000_000
MAX_DEPTH = 12
MAX_VALUES = 200_000
PROBLEMS_MOST = 20

_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # where PyYAML was built without libyaml, its own
_WHOLE = re.compile(r"[-+]?[0-9]{1,30}", re.ASCII)
_DECIMAL = re.compile(r"[-+]?(?:[0-9]{1,30}\.[0-9]{0,30}|\.[0-9]{1,30})", re.ASCII)
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}


class Problem(NamedTuple):
    """Something that speaks against a file, and where: the line counted from 1, and the way to the value."""

    line: int
    path: str
    message: str


class ConfigurationRefused(Exception):
    """The file says what cannot be; nothing of it is applied."""

    def __init__(self, problems: list[Problem]) -> None:
        """`problems`: at least one."""
        super().__init__(problems[0].message)
        self.problems = problems

    def text(self, file: str) -> str:
        """A line for each problem, as editors take them: `file:line: path: what is wrong`."""
        shown = [
            f"{file}:{line}: {f'{path}: ' if path else ''}{message}"
            for line, path, message in sorted(self.problems)[:PROBLEMS_MOST]
        ]
        more = len(self.problems) - len(shown)
        return "\n".join(shown + ([f"… and {more} more"] if more else []))


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the file: text, number, truth, nothing, a list of nodes or a mapping from text to nodes."""

    value: Any
    line: int
    path: str

    def problem(self, message: str) -> Problem:
        """What is wrong with this value."""
        return Problem(self.line, self.path, message)

    def at(self, name: str) -> "Node":
        """The value under `name`; this one where there is none, as that is what lacks it."""
        return self.value.get(name, self) if isinstance(self.value, dict) else self


def read_document(content: bytes) -> Node:
    """The one document of a file. Raises ConfigurationRefused."""
    if len(content) > MAX_BYTES:
        raise _refusal(1, f"the file is larger than {MAX_BYTES // 1_000_000} MB: apply it in parts")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _refusal(1, "the file is not UTF-8: save it as such") from None
    events = yaml.parse(text, Loader=_PARSER)
    try:
        return _Reader(events).document()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _refusal(line, f"this is not YAML: {error.problem or 'it cannot be read'}") from None
    except yaml.YAMLError as error:
        raise _refusal(1, f"this is not YAML: {str(error).splitlines()[0]}") from None


class _Reader:
    """Builds nodes from the parser's events, counting them."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._count = 0
        self._problems: list[Problem] = []

    def document(self) -> Node:
        next(self._events)  # the stream's start
        first = next(self._events)
        if isinstance(first, yaml.StreamEndEvent):
            raise _refusal(1, "the file is empty: it begins with `version: 1`")
        root = self._node(next(self._events), "", 1)
        next(self._events)  # the document's end
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise _refusal(_line(after), "a second document begins here: keep one in a file")
        if self._problems:
            raise ConfigurationRefused(self._problems)
        return root

    def _node(self, event: yaml.Event, path: str, depth: int) -> Node:
        line = _line(event)
        self._count += 1
        if self._count > MAX_VALUES:
            raise _refusal(line, f"the file holds more than {MAX_VALUES:,} values: apply it in parts")
        if depth > MAX_DEPTH:
            raise _refusal(line, f"this is nested more than {MAX_DEPTH} deep, as nothing here needs to be")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _refusal(
                line, "anchors and aliases (& and *) are not read: write it out; quote a text that begins so"
            )
        if (tag := getattr(event, "tag", None)) is not None:
            raise _refusal(line, f"tags such as {tag} are not read: leave it out")
        if isinstance(event, yaml.ScalarEvent):
            return Node(_scalar(event), line, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return Node(self._list(path, depth), line, path)
        return Node(self._mapping(path, depth), line, path)

    def _list(self, path: str, depth: int) -> list[Node]:
        found: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            found.append(self._node(event, f"{path}[{len(found)}]", depth + 1))
        return found

    def _mapping(self, path: str, depth: int) -> dict[str, Node]:
        found: dict[str, Node] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, path, depth + 1)
            if not isinstance(event, yaml.ScalarEvent):
                raise _refusal(key.line, "a name is expected before the colon")
            name = event.value
            below = f"{path}.{name}" if path else name
            value = self._node(next(self._events), below, depth + 1)
            if name in found:
                self._problems.append(
                    Problem(key.line, below, f"is there twice, first in line {found[name].line}: keep one")
                )
            found.setdefault(name, value)
        return found


def _scalar(event: yaml.ScalarEvent) -> Any:
    text = event.value
    if event.style:  # quoted, or a block: text whatever it looks like
        return text
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _WHOLE.fullmatch(text):
        return int(text)
    return Decimal(text) if _DECIMAL.fullmatch(text) else text


def _line(event: yaml.Event) -> int:
    mark = event.start_mark
    return 1 if mark is None else int(mark.line) + 1


def _refusal(line: int, message: str) -> ConfigurationRefused:
    return ConfigurationRefused([Problem(line, "", message)])
