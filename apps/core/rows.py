"""Saving a row so that a broken rule is always a ValidationError, races included; and telling it to whoever asked."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError, connection, models, transaction
from django.forms import BaseForm
from psycopg.errors import UniqueViolation


def save_valid(row: models.Model) -> None:
    """Validate and save `row`, inside the caller's transaction. Raises ValidationError naming the fields.

    Two writers may both find a name free; the slower one's save then breaks the constraint. Validating again, now that
    the other's row is visible, turns that into the same error that it would have got a moment later. Of a name that is one over
    all organizations the other's row may never be visible: then the constraint says which.
    """
    row.full_clean()
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        row.full_clean()
        if (taken := _taken(row, error)) is not None:
            raise taken from error
        raise


def _taken(row: models.Model, error: IntegrityError) -> ValidationError | None:
    """What a unique constraint says, at its fields; None: it was another one."""
    if not isinstance(error.__cause__, UniqueViolation):
        return None
    with connection.cursor() as cursor:
        found: dict[str, Any] = connection.introspection.get_constraints(cursor, row._meta.db_table)
    columns = found.get(error.__cause__.diag.constraint_name or "", {}).get("columns") or ()
    names = tuple(field.name for field in row._meta.concrete_fields if field.column in columns)
    if not names:
        return None
    refusal = row.unique_error_message(type(row), names)
    return ValidationError({names[0]: refusal} if len(names) == 1 else refusal)


def add_errors(form: BaseForm, error: ValidationError, renamed: Mapping[str, str] = MappingProxyType({})) -> None:
    """Put what an action refused at the form's fields; what is about none of them stands above all.

    `renamed`: the form's name for a field of the row's.
    """
    by_field = error.error_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.error_list}
    for name, errors in by_field.items():
        field = renamed.get(name, name)
        form.add_error(field if field in form.fields else None, errors)


def one_sentence(error: ValidationError) -> str:
    """What is wrong, on one line: for commands and flash messages. Each part begins with its field where it has one."""
    if not hasattr(error, "error_dict"):
        return " ".join(error.messages)
    parts = []
    for field, messages in error.message_dict.items():
        parts += [message if field == "__all__" else f"{field}: {message}" for message in messages]
    return " ".join(parts)
