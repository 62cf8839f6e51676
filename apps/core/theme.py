"""django-unfold, as far as the console uses it, with types: it ships none.

At run time these are unfold's own names; the type checker sees what stands below TYPE_CHECKING.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib import admin

if TYPE_CHECKING:
    from enum import StrEnum

    from django.contrib.admin import SimpleListFilter
    from django.contrib.admin.helpers import AdminForm, AdminReadonlyField, Fieldline, Fieldset
    from django.contrib.auth.forms import PasswordChangeForm
    from django.core.paginator import Paginator
    from django.db.models import Model
    from django.forms import (
        CheckboxInput,
        CheckboxSelectMultiple,
        ClearableFileInput,
        PasswordInput,
        Select,
        Textarea,
        TextInput,
    )
    from django.http import HttpRequest

    class ModelAdmin(admin.ModelAdmin[Any]):
        """Admin's, and what unfold adds to it."""

        add_fieldsets: Any

        def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
            """The buttons of a row's page."""

    class ActionVariant(StrEnum):
        """How an action's button looks."""

        DEFAULT = "default"
        PRIMARY = "primary"
        DANGER = "danger"

    class AdminOwnPasswordChangeForm(PasswordChangeForm):
        """The form for one's own password."""

    class DropdownFilter(SimpleListFilter):
        """A filter whose choices open in a list."""

        all_option: list[Any]

    class AutocompleteSelectFilter(admin.RelatedFieldListFilter):
        """A filter whose choices are found by typing."""

    class ChoicesDropdownFilter(admin.ChoicesFieldListFilter):
        """A filter over a field's choices that opens in a list."""

    class InfinitePaginator(Paginator[Model]):
        """Pages without a last one: nothing is counted."""

    def action[F: Callable[..., Any]](
        *,
        description: Any,
        url_path: str,
        icon: str,
        variant: ActionVariant = ActionVariant.DEFAULT,
        takes: str = "act",
    ) -> Callable[[F], F]:
        """A button on a row's page, and the view behind it. `takes`: act, look, limits or staff (apps.core.console)."""

    def display[F: Callable[..., Any]](
        *, description: Any, label: dict[Any, str] | None = None, ordering: str | None = None
    ) -> Callable[[F], F]:
        """A column; with `label`, a badge whose colour depends on the value: a pair of what it is and the word for it."""

else:
    from functools import wraps

    from unfold.admin import ModelAdmin
    from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter, DropdownFilter
    from unfold.decorators import action as _action
    from unfold.decorators import display as _display
    from unfold.enums import ActionVariant
    from unfold.fields import UnfoldAdminReadonlyField as AdminReadonlyField
    from unfold.forms import AdminForm, AdminOwnPasswordChangeForm, Fieldline, Fieldset
    from unfold.paginator import InfinitePaginator
    from unfold.utils import display_for_label
    from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget as CheckboxSelectMultiple
    from unfold.widgets import UnfoldAdminFileFieldWidget as ClearableFileInput
    from unfold.widgets import UnfoldAdminPasswordWidget as PasswordInput
    from unfold.widgets import UnfoldAdminSelectWidget as Select
    from unfold.widgets import UnfoldAdminTextareaWidget as Textarea
    from unfold.widgets import UnfoldAdminTextInputWidget as TextInput
    from unfold.widgets import UnfoldBooleanWidget as CheckboxInput

    def action(*, takes="act", **options):  # noqa: ANN003, ANN001, ANN201, D103 - typed and described above
        return _action(permissions=[takes], **options)

    def display(*, label=None, **options):  # noqa: ANN003, ANN001, ANN201, D103 - typed and described above
        if label is None:
            return _display(**options)

        class Badge(tuple):
            """Lists make a badge of the pair; a row's page would show the pair, so it makes its own."""

            __slots__ = ()

            def __html__(self):  # noqa: ANN204 - untyped, as all that touches unfold
                return display_for_label(self, "", label)

        def decorate(function):  # noqa: ANN001, ANN202 - as above
            @wraps(function)
            def column(*args):  # noqa: ANN002, ANN202 - as above
                return Badge(function(*args))

            return _display(label=label, **options)(column)

        return decorate


__all__ = [
    "ActionVariant",
    "AdminForm",
    "AdminOwnPasswordChangeForm",
    "AdminReadonlyField",
    "AutocompleteSelectFilter",
    "CheckboxInput",
    "CheckboxSelectMultiple",
    "ChoicesDropdownFilter",
    "ClearableFileInput",
    "DropdownFilter",
    "Fieldline",
    "Fieldset",
    "InfinitePaginator",
    "ModelAdmin",
    "PasswordInput",
    "Select",
    "TextInput",
    "Textarea",
    "action",
    "display",
]
