"""What the sections of a file share: entries that are stated, rows that are found, and what makes the one of the other."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django.core.exceptions import ValidationError

from apps.configuration.document import ConfigurationRefused, Node, Problem
from apps.configuration.fields import Field, Reference, items, read_fields, write_fields
from apps.core.actor import Actor
from apps.orgs.models import Organization
from apps.providers.models import Credential

type Owner = Organization | None  # None: the installation
type Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stated:
    """An entry of the file: its values, and where they stand."""

    key: Hashable
    values: Values
    node: Node


@dataclass(frozen=True, slots=True)
class Found:
    """A row that is there, as the file would state it."""

    key: Hashable
    values: Values
    row: Any
    shipped: bool = False  # as it came with the release: neither exported nor removed


class Section(ABC):
    """One section: how its entries are read, and which actions make rows of them.

    An entry is stated whole: what it leaves out has its default. `add`, `change` and `remove` raise ValidationError.
    """

    name: ClassVar[str]  # in the file
    noun: ClassVar[str]  # of one entry
    fields: ClassVar[tuple[Field, ...]]
    identity: ClassVar[tuple[str, ...]]  # the fields that tell one entry from another
    hosted: ClassVar[bool] = False  # whether the installation has it too

    @abstractmethod
    def label(self, values: Values) -> str:
        """What people call the entry."""

    @abstractmethod
    def rows(self, owner: Owner) -> list[Found]:
        """Everything there is, in the order of an export."""

    @abstractmethod
    def add(self, owner: Owner, values: Values, actor: Actor) -> Sequence[str]:
        """Make the row. Returns what is to be said of it, if anything."""

    @abstractmethod
    def change(self, owner: Owner, found: Found, values: Values, actor: Actor) -> Sequence[str]:
        """Make the row as it is stated. Returns what is to be said of it."""

    @abstractmethod
    def remove(self, owner: Owner, found: Found, actor: Actor) -> bool:
        """Take the row away, or switch off what stays for the record. False if that is done already."""

    def key(self, values: Values) -> Hashable:
        """What tells one entry from another."""
        return tuple(values[name] for name in self.identity)

    def found(self, values: Values, row: Any, *, shipped: bool = False) -> Found:
        """A row with its key."""
        return Found(self.key(values), values, row, shipped)

    def read(self, node: Node) -> list[Stated]:
        """The entries of a section. Raises ConfigurationRefused with everything that is wrong."""
        entries: list[Stated] = []
        problems: list[Problem] = []
        lines: dict[Hashable, int] = {}
        for item in self.nodes(node):
            try:
                values = self.completed(read_fields(item, self.fields))
                problems += self.contradictions(values, item)
            except ConfigurationRefused as wrong:
                problems += wrong.problems
                continue
            key = self.key(values)
            if key in lines:
                problems.append(item.problem(f"{self.label(values)} is there twice, first in line {lines[key]}"))
            lines.setdefault(key, item.line)
            entries.append(Stated(key, values, item))
        problems += self.disagreements(entries)
        if problems:
            raise ConfigurationRefused(problems)
        return entries

    def nodes(self, node: Node) -> list[Node]:
        """Where the entries stand."""
        return items(node)

    def write(self, rows: Sequence[Found]) -> Any:
        """What `read` reads as these."""
        return [write_fields(found.values, self.fields) for found in rows]

    def completed(self, values: dict[str, Any]) -> dict[str, Any]:
        """An entry's values, with what one of them says of another."""
        return values

    def contradictions(self, values: Values, node: Node) -> list[Problem]:
        """What is wrong with one entry as a whole."""
        del values, node
        return []

    def disagreements(self, entries: Sequence[Stated]) -> list[Problem]:
        """What is wrong with entries beside each other, but for repetitions."""
        del entries
        return []

    def find(self, stated: Stated, rows: Mapping[Hashable, Found]) -> Found | None:
        """The row that an entry is about."""
        return rows.get(stated.key)

    def is_same(self, found: Found, stated: Stated) -> bool:
        """Whether there is nothing to do. False is looked at again once the action has put values into their one form."""
        return bool(found.values == stated.values)

    def is_nothing(self, values: Values) -> bool:
        """Whether what is stated is the same as no row at all."""
        del values
        return False

    def is_gone(self, found: Found) -> bool:
        """Whether a row that stays for the record is switched off, which is as good as removed."""
        del found
        return False

    def listed(self, rows: Sequence[Found], entries: Sequence[Stated]) -> set[Hashable]:
        """The keys of those rows that the file speaks of."""
        del rows
        return {stated.key for stated in entries}

    def remarks(self, owner: Owner, entries: Sequence[Stated]) -> list[str]:
        """What its author may want to know, beside what changes."""
        del owner, entries
        return []

    def order(self, entries: Sequence[Stated]) -> Sequence[Stated]:
        """The order in which entries are applied, where that is not the file's."""
        return entries


def referred(row: Credential | None, owner: Owner) -> Reference | None:
    """A credential as a row of `owner` refers to it."""
    if row is None:
        return None
    return Reference(row.label, hosted=row.organization_id is None and owner is not None)


def credential_of(reference: Reference | None, owner: Owner, field: str) -> Credential | None:
    """The credential that an entry of `owner` means. Raises ValidationError under `field` if there is none."""
    if reference is None:
        return None
    whose = None if reference.hosted else owner
    found = Credential.objects.filter(organization=whose, label=reference.label).first()
    if found is None:
        raise ValidationError({field: missing("credential", reference.label, whose)})
    return found


def missing(noun: str, name: str, owner: Owner) -> str:
    """That a file refers to what there is not."""
    return f"{owner or 'the installation'} has no {noun} {name!r}: add it to the file, or mend the name"
