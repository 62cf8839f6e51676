"""The console's forms about prices."""

import base64
import binascii
import zlib
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import capfirst, format_lazy
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from apps.core.console import ConsoleForm
from apps.core.theme import CheckboxInput, ClearableFileInput, Select, TextInput
from apps.orgs.models import Organization
from apps.providers.prices.documents import MAX_BYTES, UNITS, when
from apps.providers.prices.kinds import KINDS, TOKEN_KINDS
from apps.providers.prices.models import Price
from apps.providers.prices.money import checked_price, number, per_million
from apps.providers.prices.shown import PIECES, kind_label

UNIT_CHOICES = [
    ("per_million", _("1,000,000 tokens")),
    ("per_thousand", _("1,000 tokens")),
    ("per_token", _("one token")),
]
_MOST_CARRIED = 2_000_000  # characters of a packed file that a page carries from its preview to its confirmation


class _ReadBy(forms.CharField):
    """Text that a function of ours reads; what that refuses (ValueError) is the field's error."""

    def __init__(self, read: Callable[[str], Any], **options: Any) -> None:
        super().__init__(**options)
        self._read = read

    def to_python(self, value: Any) -> Any:
        """What the text says; None if it is empty."""
        text = super().to_python(value)
        if not text:
            return None
        try:
            return self._read(text)
        except ValueError as error:
            raise ValidationError(f"{error}.") from error


def _amount(label: Any) -> forms.Field:
    attributes = {"inputmode": "decimal", "autocomplete": "off"}
    return _ReadBy(number, label=label, required=False, widget=TextInput(attrs=attributes))


def _moment(help_text: Any, **options: Any) -> forms.Field:
    return _ReadBy(when, label=_("From (UTC)"), required=False, help_text=help_text, widget=TextInput(), **options)


_PriceFields: Any = type(
    "_PriceFields",
    (forms.Form,),
    {
        **{kind: _amount(capfirst(kind_label(kind))) for kind in TOKEN_KINDS},
        **{kind: _amount(format_lazy(_("One {piece}"), piece=piece)) for kind, piece in PIECES.items()},
    },
)


class PriceForm(_PriceFields, ConsoleForm):  # type: ignore[misc]  # made above, one field per kind
    """What a model costs from a time on."""

    effective_from = _moment(_("Such as 2026-12-01, its first moment, or 2026-12-01T08:00:00Z. Empty: now."))
    unit = forms.ChoiceField(
        choices=UNIT_CHOICES, label=_("USD for"), initial="per_million", required=False, widget=Select()
    )
    replace = forms.BooleanField(
        label=_("Withdraw a price from this very time"),
        required=False,
        help_text=_("Otherwise a price that is there already stands against it."),
        widget=CheckboxInput(),
    )

    class Meta:
        model = Price
        fields = ("organization", "provider", "model", "tier", "above_input_tokens", "source", "note")
        help_texts = {"organization": _("Empty: the installation's book, for all without a price of their own.")}

    def clean_effective_from(self) -> datetime:
        """Now, unless it says."""
        found: datetime | None = self.cleaned_data["effective_from"]
        return found or now()

    def clean(self) -> dict[str, Any]:
        """Every price in USD per million units, as the book keeps them. An empty one is left out: it is not 0."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        per = UNITS[values.get("unit") or "per_million"]
        prices: dict[str, Decimal] = {}
        for kind in KINDS:
            value = values.pop(kind, None)
            if value is None:
                continue
            try:
                prices[kind] = checked_price(per_million(value, per=per if kind in TOKEN_KINDS else 1))
            except ValueError as error:
                self.add_error(kind, f"{error}.")
        if not prices and not self.errors:
            raise ValidationError(_("Give at least one price; 0 is one, for what is free."))
        values["prices"] = prices
        return values


class _Owned(forms.Form):
    organization = forms.ModelChoiceField(
        Organization.objects.all(),
        label=_("For"),
        required=False,
        empty_label=_("all organizations (the installation's book)"),
        widget=Select(),
    )


class UploadForm(_Owned):
    """A file of prices and how to read it."""

    file = forms.FileField(
        label=_("File"),
        help_text=_("CSV with a header, or JSON, as exported here."),
        widget=ClearableFileInput(attrs={"accept": ".csv,.json,text/csv,application/json"}),
    )
    unit = forms.ChoiceField(choices=UNIT_CHOICES, label=_("Its numbers are USD for"), widget=Select())
    effective_from = _moment(_("For rows that do not say. Empty: now."))

    def clean_file(self) -> bytes:
        """What the file holds."""
        file = self.cleaned_data["file"]
        if file.size > MAX_BYTES:
            raise ValidationError(
                _("The file is larger than %(most)d MB: import it in parts.") % {"most": MAX_BYTES // 1_000_000}
            )
        content: bytes = file.read()
        if len(packed(content)) > _MOST_CARRIED:
            raise ValidationError(_("The file is too large for a page: use `manage.py import_prices`."))
        return content


class ConfirmForm(_Owned):
    """The file that a preview showed, once more, and what the operator says to it."""

    organization = forms.ModelChoiceField(Organization.objects.all(), required=False, widget=forms.HiddenInput())
    content = forms.CharField(max_length=_MOST_CARRIED, widget=forms.HiddenInput())
    unit = forms.ChoiceField(choices=UNIT_CHOICES, widget=forms.HiddenInput())
    effective_from = _ReadBy(when, required=False, widget=forms.HiddenInput())
    trust = forms.BooleanField(
        label=_("What looks unusual is right"),
        required=False,
        widget=CheckboxInput(),
    )
    replace = forms.BooleanField(
        label=_("Withdraw prices from the very same time that differ"), required=False, widget=CheckboxInput()
    )

    def clean_content(self) -> bytes:
        """The file, unpacked."""
        return unpacked(self.cleaned_data["content"])


class ExportForm(_Owned):
    """Which prices, and how they are written."""

    format = forms.ChoiceField(choices=[("csv", "CSV"), ("json", "JSON")], label=_("Format"), widget=Select())
    effective_at = _ReadBy(
        when,
        label=_("That apply at (UTC)"),
        required=False,
        help_text=_("Such as 2026-12-01. Empty: those of all times."),
        widget=TextInput(),
    )


def packed(content: bytes) -> str:
    """A file as a page can carry it."""
    return base64.b64encode(zlib.compress(content, 9)).decode()


def unpacked(text: str) -> bytes:
    """The file of `packed`. Raises ValidationError for anything else."""
    try:
        reader = zlib.decompressobj()
        content = reader.decompress(base64.b64decode(text, validate=True), MAX_BYTES + 1)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise ValidationError(_("The file got lost on the way: choose it again.")) from error
    if not reader.eof:
        raise ValidationError(_("The file got lost on the way: choose it again."))
    return content
