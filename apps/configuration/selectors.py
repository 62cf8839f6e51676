"""What there is, as a file would state it."""

from collections.abc import Iterable
from typing import Any

from apps.configuration.fields import write_fields
from apps.configuration.layout import ORGANIZATION, VERSION, sections_of
from apps.configuration.section import Owner
from apps.orgs.models import Organization


def configuration_of(organizations: Iterable[Organization], *, installation: bool) -> dict[str, Any]:
    """The document that, applied to an empty database, makes these organizations, and the installation's own rows if asked for.

    No secret is in it: credentials name the variables that are to hold theirs.
    """
    document: dict[str, Any] = {"version": VERSION}
    if installation:
        document["installation"] = _sections(None)
    document["organizations"] = [
        {**write_fields(ORGANIZATION.rows(each)[0].values, ORGANIZATION.fields), **_sections(each)}
        for each in organizations
    ]
    return document


def _sections(owner: Owner) -> dict[str, Any]:
    return {
        section.name: section.write([found for found in section.rows(owner) if not found.shipped])
        for section in sections_of(hosted=owner is None)
    }
