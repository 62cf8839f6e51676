"""Applying a file: one transaction over the same actions that every other door calls."""

from collections.abc import Callable, Sequence
from typing import Literal

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import connection, transaction

from apps.configuration.document import ConfigurationRefused, Node, Problem
from apps.configuration.layout import ORGANIZATION, Part
from apps.configuration.report import Change, Report, differing
from apps.configuration.section import Found, Owner, Section, Stated
from apps.core.actor import Actor
from apps.core.rows import one_sentence
from apps.orgs.models import Organization
from apps.orgs.selectors import organization_by_slug


@transaction.atomic
def configuration_apply(parts: Sequence[Part], *, actor: Actor, prune: bool = False, dry_run: bool = False) -> Report:
    """Make everything as the parts state it, or nothing. Returns what changed.

    `prune`: also remove what a part has and its section in the file does not list. `dry_run`: do all of it and take it back, so
    that what would be refused is refused. Raises ConfigurationRefused.
    """
    with connection.cursor() as cursor:  # of two who apply, the second sees what the first has done
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('apps.configuration'))")
    report = Report()
    for part in parts:
        _Application(actor, report).apply(part, prune=prune)
    if dry_run:
        transaction.set_rollback(True)
    return report


class _Application:
    """One part being applied."""

    def __init__(self, actor: Actor, report: Report) -> None:
        self._actor = actor
        self._report = report
        self._problems: list[Problem] = []
        self._owner: Owner = None
        self._owner_label = "installation"

    def apply(self, part: Part, *, prune: bool) -> None:
        """Raises ConfigurationRefused after the first section in which something is refused."""
        if part.settings is not None:
            self._organization(part, part.settings)
        for section, _node, entries in part.sections:
            self._make(section, entries)
        for section, node, entries in reversed(part.sections):
            self._remove(section, node, entries, prune=prune)

    def _organization(self, part: Part, settings: dict[str, object]) -> None:
        self._owner_label = f"organization {settings['slug']}"
        known = organization_by_slug(str(settings["slug"]))
        found = ORGANIZATION.rows(known)[0] if known is not None else None
        stated = ORGANIZATION.stated(part.node, settings, found)
        self._owner = known
        self._one(ORGANIZATION, stated, found)
        self._refuse()
        if known is None:
            self._owner = Organization.objects.get(slug=settings["slug"])
            self._note("added", ORGANIZATION, stated, None, stated.values, ())
        else:
            self._owner = Organization.objects.get(pk=known.pk)
            self._note_change(ORGANIZATION, stated, found, ORGANIZATION.rows(self._owner)[0], ())

    def _make(self, section: Section, entries: Sequence[Stated]) -> None:
        before = {found.key: found for found in section.rows(self._owner)}
        done: list[tuple[Stated, Found | None, Sequence[str]]] = []
        for stated in section.order(entries):
            found = section.find(stated, before)
            if found is None and section.is_nothing(stated.values):
                self._report.unchanged += 1
                continue
            notes = self._one(section, stated, found)
            if notes is None:
                self._report.unchanged += 1
            else:
                done.append((stated, found, notes))
        self._refuse()
        # What the actions made of the values, not what the file says: `10.0.0.1` is kept as `10.0.0.1/32`.
        after = {found.key: found for found in section.rows(self._owner)} if done else {}
        for stated, found, notes in done:
            became = section.find(stated, after)
            if found is None:
                self._note("added", section, stated, None, stated.values, notes)
            else:
                self._note_change(section, stated, found, became, notes)
        self._report.remarks += section.remarks(self._owner, entries)

    def _one(self, section: Section, stated: Stated, found: Found | None) -> Sequence[str] | None:
        """What is to be said of it; None: there was nothing to do, or it was refused."""
        if found is None:
            return self._try(stated.node, lambda: section.add(self._owner, stated.values, self._actor))
        if section.is_same(found, stated):
            return None
        return self._try(stated.node, lambda: section.change(self._owner, found, stated.values, self._actor))

    def _remove(self, section: Section, node: Node, entries: Sequence[Stated], *, prune: bool) -> None:
        rows = [found for found in section.rows(self._owner) if not found.shipped]
        listed = section.listed(rows, entries)
        for found in rows:
            if found.key in listed or section.is_gone(found):
                continue
            if not prune:
                self._report.unlisted += 1
            elif self._try(node, lambda found=found: section.remove(self._owner, found, self._actor)):  # type: ignore[misc]
                self._report.changes.append(Change(self._owner_label, "removed", section.label(found.values)))
        self._refuse()

    def _try[T](self, node: Node, operation: Callable[[], T]) -> T | None:
        """Do it, or note why it is refused and go on with the section, so that all refusals are told at once."""
        try:
            with transaction.atomic():
                return operation()
        except ValidationError as refusal:
            self._problems += _located(refusal, node)
        except ImproperlyConfigured as refusal:
            self._problems.append(node.at("secret").problem(str(refusal)))
        return None

    def _refuse(self) -> None:
        if self._problems:
            raise ConfigurationRefused(self._problems)

    def _note_change(
        self, section: Section, stated: Stated, found: Found | None, became: Found | None, notes: Sequence[str]
    ) -> None:
        before = None if found is None else found.values
        after = stated.values if became is None else became.values
        if before == after and not notes:
            self._report.unchanged += 1
        else:
            self._note("changed", section, stated, before, after, notes)

    def _note(
        self,
        kind: Literal["added", "changed", "removed"],
        section: Section,
        stated: Stated,
        before: object,
        after: object,
        notes: Sequence[str],
    ) -> None:
        told = [
            each
            for each in differing(section.fields, before, after)  # type: ignore[arg-type]
            if kind != "added" or each[0] not in section.identity  # which the label says
        ]
        label = section.label(stated.values)
        self._report.changes.append(Change(self._owner_label, kind, label, tuple(told), tuple(notes)))


def _located(refusal: ValidationError, node: Node) -> list[Problem]:
    """A refusal's sentences, each at the value it is about."""
    if not hasattr(refusal, "error_dict"):
        return [node.problem(one_sentence(refusal))]
    found = []
    for field, messages in refusal.message_dict.items():
        at = node.at(field)
        prefix = "" if at is not node or field == "__all__" else f"{field}: "
        found += [at.problem(f"{prefix}{message}") for message in messages]
    return found
