"""What a row's page shows of what cannot be changed there.

Another row is a link where who looks may open it, and else its name alone.
"""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin

from apps.core.theme import AdminForm, AdminReadonlyField, Fieldline, Fieldset


class _Value(AdminReadonlyField):
    """One value. Admin links every row that has a page in the console."""

    form: Any

    def get_admin_url(self, remote_field: Any, remote_obj: Any) -> str:
        model = type(remote_obj)
        if admin.site.is_registered(model):
            page: Any = admin.site.get_model_admin(model)
            if page.has_view_permission(self.form.request, remote_obj):  # the form knows for whom it acts
                return super().get_admin_url(remote_field, remote_obj)
        return str(remote_obj)


class _Line(Fieldline):
    def __iter__(self) -> Iterator[Any]:
        for field in super().__iter__():
            if isinstance(field, AdminReadonlyField):
                yield _Value(self.form, field.field["field"], field.is_first, self.model_admin)
            else:
                yield field


class _Fields(Fieldset):
    fields: Any

    def __iter__(self) -> Iterator[Any]:
        for field in self.fields:
            yield _Line(self.form, field, self.readonly_fields, model_admin=self.model_admin)


class RowForm(AdminForm):
    """Admin's form, as laid out by `made`."""

    def __init__(self, made: AdminForm) -> None:
        super().__init__(made.form, made.fieldsets, {}, made.readonly_fields, made.model_admin)
        self.prepopulated_fields = made.prepopulated_fields

    def __iter__(self) -> Iterator[Any]:
        for name, options in self.fieldsets:
            given: dict[str, Any] = options
            yield _Fields(self.form, name, readonly_fields=self.readonly_fields, model_admin=self.model_admin, **given)
