"""What applying a file did, or would do, for people to read. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from apps.configuration.fields import Field, written_moment
from apps.providers.prices.money import shown

_SIGNS = {"added": "+", "changed": "~", "removed": "-"}


@dataclass(frozen=True, slots=True)
class Change:
    """One entry that is not as it was: each field's value before and after, and what else is to be said."""

    owner: str  # whose it is
    kind: Literal["added", "changed", "removed"]
    label: str
    fields: tuple[tuple[str, str, str], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Report:
    """Everything that changed, in the order of the file, and how much did not."""

    changes: list[Change] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    unchanged: int = 0
    unlisted: int = 0  # there, and not in the file, which says something of their kind

    def count(self, kind: str) -> int:
        """How many entries were added, changed or removed."""
        return sum(change.kind == kind for change in self.changes)

    def text(self) -> str:
        """The differences, under whose they are, and a last line that counts them."""
        lines = []
        owner = None
        for change in self.changes:
            if change.owner != owner:
                owner = change.owner
                lines.append(f"{owner}:")
            lines.append(f"  {_SIGNS[change.kind]} {change.label}")
            lines += [f"      {name}: {_arrow(change.kind, before, after)}" for name, before, after in change.fields]
            lines += [f"      {note}" for note in change.notes]
        counted = [f"{self.count(kind)} {kind}" for kind in _SIGNS]
        kept = f"; {self.unlisted} not in the file and kept (--prune removes them)" if self.unlisted else ""
        return "\n".join([*lines, f"{', '.join(counted)}, {self.unchanged} unchanged{kept}."])


def differing(
    fields: tuple[Field, ...], before: Mapping[str, Any] | None, after: Mapping[str, Any]
) -> tuple[tuple[str, str, str], ...]:
    """Name, value before and value after of each field that differs; without `before`, of each that is not at its default."""
    found: list[tuple[str, str, str]] = []
    for each in fields:
        old = each.default if before is None else before[each.name]
        new = after[each.name]
        if isinstance(new, dict) or isinstance(old, dict):
            was, becomes = old or {}, new or {}
            found += [
                (f"{each.name}.{name}", readable(was.get(name)), readable(becomes.get(name)))
                for name in dict.fromkeys([*was, *becomes])
                if was.get(name) != becomes.get(name)
            ]
        elif old != new:
            found.append((each.name, readable(old), readable(new)))
    return tuple(found)


def readable(value: Any) -> str:
    """A value as a difference shows it."""
    if value is None or value == "" or value == [] or value == ():
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return shown(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, datetime):
        return str(written_moment(value))
    if isinstance(value, tuple):  # a place: what it is, and its name
        return " ".join(part for part in value if part)
    if isinstance(value, list):
        return ", ".join(readable(item) for item in value)
    return str(value)


def _arrow(kind: str, before: str, after: str) -> str:
    return after if kind == "added" else f"{before} → {after}"
