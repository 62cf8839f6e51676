"""Strict fields: what is not of the right type is refused, never read as something near it. Money is text, never a float."""

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Model
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core.ids import parse_request_id, request_id
from apps.policies.usd import usd_text

_ID = re.compile(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}", re.ASCII)
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)
_YEARS = range(1970, 9999)  # beyond these, a time cannot be told in every zone
USD_PATTERN = r"^-?[0-9]{1,12}(\.[0-9]{1,12})?$"
_USD = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?", re.ASCII)


class Strict(serializers.Serializer[Any]):
    """An object whose every field is known: others are refused, so that nothing is set that nobody meant to offer."""

    def to_internal_value(self, data: Any) -> Any:
        """The values. Raises ValidationError."""
        if isinstance(data, Mapping):
            known = {name for name, each in self.fields.items() if not each.read_only}
            if unknown := [str(name) for name in data if name not in known]:
                raise serializers.ValidationError(
                    {name[:80]: [_("There is no such field.")] for name in sorted(unknown)[:20]}
                )
        return super().to_internal_value(data)


class Text(serializers.CharField):
    """Text, as it was sent."""

    def __init__(self, **options: Any) -> None:
        """As CharField's; at most 255 characters unless `max_length` says otherwise."""
        options.setdefault("max_length", 255)
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> str:
        """The text. Raises ValidationError for anything else."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Numbers and lists are not taken for their text."""
        if data is not serializers.empty and data is not None and not isinstance(data, str):
            self.fail("invalid")
        return super().run_validation(data)


class Whole(serializers.IntegerField):
    """A whole number, as a JSON number."""

    def to_internal_value(self, data: Any) -> int:
        """The number. Raises ValidationError for anything else."""
        if isinstance(data, float) and data.is_integer():
            data = int(data)  # JSON does not tell 1 from 1.0
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class QueryWhole(serializers.IntegerField):
    """A whole number in a query."""

    def to_internal_value(self, data: Any) -> int:
        """The number. Raises ValidationError for anything but digits."""
        if not isinstance(data, str) or re.fullmatch(r"-?[0-9]{1,18}", data, re.ASCII) is None:
            self.fail("invalid")
        return super().to_internal_value(data)


class Switch(serializers.BooleanField):
    """true or false, and nothing that resembles them."""

    def to_internal_value(self, data: Any) -> bool:
        """The value. Raises ValidationError for anything else."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class QuerySwitch(serializers.BooleanField):
    """true or false in a query."""

    def to_internal_value(self, data: Any) -> bool:
        """The value. Raises ValidationError for anything else."""
        if data not in ("true", "false"):
            self.fail("invalid", input=data)
        return bool(data == "true")


class Choice(serializers.ChoiceField):
    """One of some words."""

    def to_internal_value(self, data: Any) -> Any:
        """The word. Raises ValidationError for anything else."""
        if not isinstance(data, str):
            self.fail("invalid_choice", input=data)
        return super().to_internal_value(data)


class Id(serializers.UUIDField):
    """A row's id."""

    def to_internal_value(self, data: Any) -> Any:
        """The id. Raises ValidationError for anything but a UUID as we write it."""
        if not isinstance(data, str) or _ID.fullmatch(data) is None:
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


class Ref(Id):
    """The id of a row that whoever asks can see; becomes the row."""

    def __init__(self, model: type[Model], **options: Any) -> None:
        """`model`: whose row it is."""
        super().__init__(**options)
        self.model = model

    def to_internal_value(self, data: Any) -> Any:
        """The row. Raises ValidationError where there is none, or none that may be seen."""
        key = super().to_internal_value(data)
        row = self.model._default_manager.filter(pk=key).first()
        if row is None:
            raise serializers.ValidationError(
                str(_("There is no such %(kind)s here.")) % {"kind": self.model._meta.verbose_name}
            )
        return row


class Moment(serializers.DateTimeField):
    """A time with its zone, such as 2026-11-21T15:00:00Z (RFC 3339)."""

    default_error_messages = {"invalid": _("Write a time with its zone, such as 2026-11-21T15:00:00Z.")}

    def to_internal_value(self, value: Any) -> datetime:
        """The time. Raises ValidationError."""
        if not isinstance(value, str) or _MOMENT.fullmatch(value) is None or int(value[:4]) not in _YEARS:
            self.fail("invalid", format="RFC 3339")
        return super().to_internal_value(value.upper())


@extend_schema_field({"type": "string", "pattern": USD_PATTERN, "example": "12.50"})
class Usd(serializers.Field[Any, Any, Any, Any]):
    """US dollars as text, exact: a JSON number would be read as a float."""

    default_error_messages = {"invalid": _('Write dollars as text of plain digits, such as "5" or "0.25".')}

    def to_internal_value(self, data: Any) -> Decimal:
        """The amount. Raises ValidationError for numbers, signs and exponents."""
        if not isinstance(data, str) or _USD.fullmatch(data) is None:
            self.fail("invalid")
        return Decimal(data)

    def to_representation(self, value: Any) -> str:
        """In full, to the last digit."""
        return usd_text(value)


@extend_schema_field({"type": "string", "pattern": "^req_[0-9a-f]{32}$"})
class RequestId(serializers.Field[Any, Any, Any, Any]):
    """A request's id as its client saw it."""

    default_error_messages = {"invalid": _("Write a request's id as req_ and 32 hexadecimal digits.")}

    def to_internal_value(self, data: Any) -> Any:
        """The id behind it. Raises ValidationError."""
        found = parse_request_id(data) if isinstance(data, str) and re.fullmatch(r"req_[0-9a-f]{32}", data) else None
        if found is None:
            self.fail("invalid")
        return found

    def to_representation(self, value: Any) -> str:
        """As clients see it."""
        return request_id(value)


class Texts(serializers.ListField):
    """A list of texts."""

    def __init__(self, *, most: int = 1000, choices: Any = None, longest: int = 255, **options: Any) -> None:
        """At most `most` of them, each one of `choices` if those are given."""
        child = Text(max_length=longest) if choices is None else Choice(choices=choices)
        super().__init__(child=child, max_length=most, **options)


AnyObject = extend_schema_field(OpenApiTypes.OBJECT)(serializers.JSONField)
