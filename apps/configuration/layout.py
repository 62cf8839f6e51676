"""A file as a whole: whose parts it has, and which sections each may hold. Pure but for the sections' fields."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.configuration.document import ConfigurationRefused, Node, Problem, read_document
from apps.configuration.fields import Wrong, items, mapping, read_fields
from apps.configuration.section import Section, Stated
from apps.configuration.sections.aliases import Aliases
from apps.configuration.sections.budgets import Budgets
from apps.configuration.sections.credentials import Credentials
from apps.configuration.sections.members import Members
from apps.configuration.sections.models import Models
from apps.configuration.sections.organization import OrganizationSection
from apps.configuration.sections.policies import Policies
from apps.configuration.sections.prices import Prices
from apps.configuration.sections.rules import Rules
from apps.configuration.sections.services import Services
from apps.configuration.sections.webhooks import Webhooks

VERSION = 1
# In the order in which they are applied: what is referred to comes first.
SECTIONS: tuple[Section, ...] = (
    Members(),
    Credentials(),
    Prices(),
    Models(),
    Aliases(),
    Rules(),
    Services(),
    Policies(),
    Budgets(),
    Webhooks(),
)
ORGANIZATION = OrganizationSection()


@dataclass(frozen=True, slots=True)
class Part:
    """What a file says of one organization, or (`settings` None) of the installation."""

    node: Node
    settings: dict[str, Any] | None
    sections: tuple[tuple[Section, Node, Sequence[Stated]], ...]


def read_configuration(content: bytes) -> list[Part]:
    """The parts of a file, the installation's first. Raises ConfigurationRefused with all that is wrong with it."""
    root = read_document(content)
    top = mapping(root)
    problems = [
        node.problem("there is no such section: there are version, installation and organizations")
        for name, node in top.items()
        if name not in {"version", "installation", "organizations"}
    ]
    if "version" not in top:
        problems.append(root.problem(f"the file does not say its version: begin it with `version: {VERSION}`"))
    elif top["version"].value != VERSION or isinstance(top["version"].value, bool):
        problems.append(top["version"].problem(f"this release reads version {VERSION}"))
    parts = []
    if "installation" in top and top["installation"].value is not None:
        parts += _part(top["installation"], None, problems)
    slugs: dict[str, int] = {}
    for node in items(top["organizations"]) if "organizations" in top else []:
        for part in _organization(node, problems):
            slug = part.settings["slug"] if part.settings else ""
            if slug in slugs:
                problems.append(node.problem(f"organization {slug} is there twice, first in line {slugs[slug]}"))
            slugs.setdefault(slug, node.line)
            parts.append(part)
    if problems:
        raise ConfigurationRefused(problems)
    return parts


def sections_of(*, hosted: bool) -> list[Section]:
    """Those that an organization has, or the installation."""
    return [section for section in SECTIONS if section.hosted or not hosted]


def _organization(node: Node, problems: list[Problem]) -> list[Part]:
    try:
        names = [section.name for section in sections_of(hosted=False)]
        settings = read_fields(node, ORGANIZATION.fields, others=names)
    except ConfigurationRefused as wrong:
        problems += wrong.problems
        return []
    return _part(node, settings, problems)


def _part(node: Node, settings: dict[str, Any] | None, problems: list[Problem]) -> list[Part]:
    try:
        given = mapping(node)
    except Wrong as wrong:
        problems += wrong.problems
        return []
    offered = sections_of(hosted=settings is None)
    if settings is None:
        names = [section.name for section in offered]
        problems += [
            each.problem(f"the installation has no such section: it has {', '.join(names)}")
            for name, each in given.items()
            if name not in names
        ]
    read = []
    for section in offered:
        if section.name in given:
            try:
                read.append((section, given[section.name], section.read(given[section.name])))
            except ConfigurationRefused as wrong:
                problems += wrong.problems
    return [Part(node, settings, tuple(read))]
