"""The form of a new organization."""

from typing import Any

from django import forms
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminTextInputWidget


class StartForm(forms.Form):
    """Its name, from which its slug is made where none is given."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=100, widget=UnfoldAdminTextInputWidget)
    slug = forms.SlugField(
        label=gettext_lazy("Short name"),
        max_length=50,
        required=False,
        help_text=gettext_lazy("For commands and URLs, in small letters; empty: made from the name."),
        widget=UnfoldAdminTextInputWidget,
    )

    def clean(self) -> dict[str, Any]:
        """With a slug."""
        values = super().clean() or {}
        values["slug"] = values.get("slug") or slugify(values.get("name", ""))[:50]
        if not values["slug"] and "slug" not in self.errors and values.get("name"):
            self.add_error("slug", _("No short name can be made from this name: write one."))
        return values
