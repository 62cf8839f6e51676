"""The console's form of an alias: its targets are rows of one field."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from apps.core.console import ConsoleForm
from apps.providers.aliases.actions import TARGETS_MOST
from apps.providers.aliases.models import Alias
from apps.providers.aliases.written import WrittenTarget, goals

_COLUMNS = ("model", "tier", "weight", "credential")
_SPARE = 3  # empty rows after the filled ones

Row = dict[str, str]


class TargetsWidget(forms.Widget):
    """A table of inputs, a target on each row, with some rows to spare."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:  # noqa: ARG002 - Django's signature
        """The table; `value` are the rows as text."""
        filled = list(value or [])
        rows = [*filled, *[dict.fromkeys(_COLUMNS, "")] * min(_SPARE, TARGETS_MOST - len(filled))]
        context = {"name": name, "rows": rows, "id": (attrs or {}).get("id", name)}
        return render_to_string("console/alias_targets.html", context)

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[Row]:  # noqa: ARG002 - Django's signature
        """The rows that are not empty."""
        columns = [data.getlist(f"{name}-{column}") for column in _COLUMNS]
        rows = [
            dict(zip(_COLUMNS, (cell.strip() for cell in cells), strict=True)) for cells in zip(*columns, strict=False)
        ]
        return [row for row in rows if any(row.values())][: TARGETS_MOST + 1]

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:  # noqa: ARG002 - Django's signature
        """Whether the form was sent without it."""
        return f"{name}-model" not in data

    def id_for_label(self, id_: str) -> str:
        """The first row's model."""
        return f"{id_}-0"


class TargetsField(forms.Field):
    """Targets as they are written; cleaned, they are WrittenTargets."""

    widget = TargetsWidget

    def to_python(self, value: Any) -> list[WrittenTarget]:
        """The rows, read. Raises ValidationError for a number that is none."""
        return [
            WrittenTarget(
                model=row["model"],
                tier=_number(row, "tier"),
                weight=_number(row, "weight"),
                credential=row["credential"],
            )
            for row in value or []
        ]

    def validate(self, value: Any) -> None:
        """The action does."""

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether any row says something else."""
        return [dict(row) for row in initial or []] != [dict(row) for row in data or []]


class AliasForm(ConsoleForm):
    """An alias and what it stands for."""

    targets = TargetsField(
        label=_("Stands for"),
        required=False,
        help_text=_(
            "A model's name, or provider/name; a * becomes what the * of the name stands for. The lowest tier is asked first, the "
            "next when it has failed; the weight is the share within a tier. Without tiers, ordered targets are asked from top to "
            "bottom. A credential, by its label, is the only one asked. Empty rows are left out."
        ),
    )

    instance: Alias

    class Meta:
        model = Alias
        fields = ("name", "organization", "strategy", "enabled")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """With the targets that there are."""
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None and not self.instance._state.adding:
            rows = self.instance.targets.select_related("credential")
            self.initial["targets"] = [
                {
                    "model": row.model,
                    "tier": str(row.tier),
                    "weight": str(row.weight),
                    "credential": row.credential.label if row.credential is not None else "",
                }
                for row in rows
            ]

    def clean(self) -> dict[str, Any]:
        """With targets as the actions take them."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if "targets" in values and "strategy" in values:
            adding = self.instance._state.adding
            organization = values.get("organization") if adding else self.instance.organization
            try:
                values["targets"] = goals(organization, values["targets"], values["strategy"])
            except ValidationError as refusal:
                self.add_error(None, refusal)
        return values


def _number(row: Row, column: str) -> int | None:
    text = row[column]
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 4:
        words = {"model": row["model"], "text": text[:20]}
        raise ValidationError(_("%(model)s: “%(text)s” is no tier and no weight: write whole numbers."), params=words)
    return int(text)
