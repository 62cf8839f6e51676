"""What the console's pages share: every write goes through an action, with an actor; nothing is logged twice.

The console is Django's admin in django-unfold's clothes. Admin writes rows itself and keeps a log of its own; here an action
writes (rule, transaction, admin event), and admin's log stays empty.

Who may see and do what is the request's access (apps.orgs.access), which each page asks for by the names of permissions. The
database shows an organization's people its own rows alone; the pages say the same once more, and leave the organization out where
there is only one.
"""

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.utils import flatten_fieldsets
from django.core.exceptions import BadRequest, PermissionDenied, ValidationError
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.core.actor import Actor
from apps.core.rowpages import RowForm
from apps.core.rows import add_errors, one_sentence
from apps.core.theme import InfinitePaginator, ModelAdmin
from apps.core.web import request_address

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[models.Model]
else:
    _ModelForm = forms.ModelForm


def request_actor(request: HttpRequest) -> Actor:
    """Who is signed in, for actions and their admin events."""
    user = cast("Any", request.user)
    return Actor(door="admin", label=user.get_username(), user_id=user.pk, address=request_address(request))


def may(request: HttpRequest, permission: str) -> bool:
    """Whether who asks may do it; the empty permission is platform staff's alone."""
    access = getattr(request, "access", None)
    if access is None:
        return False
    return bool(access.may(permission) if permission else access.is_platform_staff)


def own_organization(request: HttpRequest) -> Any:
    """The one organization that who asks may see; None: platform staff, who see all."""
    return getattr(getattr(request, "access", None), "organization", None)


def _plain_owner(request: HttpRequest) -> Any:
    """The organization that something new belongs to where platform staff do not say: the only one. None: there are several."""
    access = getattr(request, "access", None)
    return None if access is None else access.organization_for_creation()


class ConsoleForm(_ModelForm):
    """A form whose last step of validation is the action itself, so that what an action refuses shows at its field."""

    request: HttpRequest
    console: "ConsoleAdmin"
    saved: models.Model | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        organization = own_organization(self.request)
        if organization is not None and "organization" in self.fields:
            # Theirs, whatever is sent: what is disabled is not read.
            self.fields["organization"].disabled = True
            if self.instance._state.adding:
                self.initial["organization"] = organization.pk
        elif self.instance._state.adding and (field := self.fields.get("organization")) and field.required:
            self.initial.setdefault("organization", _plain_owner(self.request))

    def _post_clean(self) -> None:
        # Instead of ModelForm's, which writes into the instance and validates that: actions do both, on a row they locked.
        if self.errors:
            return
        try:
            if self.instance._state.adding:
                self.saved = self.console.perform_add(self.request, self.cleaned_data)
            else:
                changes = {name: self.cleaned_data[name] for name in self.changed_data}
                self.saved = self.console.perform_change(self.request, self.instance, changes)
        except ValidationError as refusal:
            add_errors(self, refusal)

    def save_m2m(self) -> None:
        """Nothing: there are no such relations."""

    def save(self, commit: bool = True) -> Any:
        """What the action returned; everything is saved already."""
        return self.saved


class ConsoleAdmin(ModelAdmin):
    """A page over rows that only actions write. Deleting is off unless a subclass offers an action for it.

    `permission_read`, `permission_write`: what it takes, by name; empty: platform staff's alone.
    """

    permission_read = ""
    permission_write = ""
    organization_lookup = "organization"  # from a row to whose it is
    shows_hosted = False  # rows of no organization are offered to all: their people see them, and change nothing
    hosted_hides: tuple[str, ...] = ()  # fields of such rows that are for platform staff alone
    form = ConsoleForm
    list_per_page = 50
    compressed_fields = True  # unfold: labels beside their fields
    list_filter_submit = True  # unfold: filters that are forms need a button

    def perform_add(self, request: HttpRequest, values: Mapping[str, Any]) -> models.Model:
        """Call the action that adds a row, with the form's values. Raises ValidationError."""
        raise NotImplementedError

    def perform_change(self, request: HttpRequest, row: models.Model, changes: Mapping[str, Any]) -> models.Model:
        """Call the action that changes `row`; `changes` has only what differs. Raises ValidationError."""
        raise NotImplementedError

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The form, knowing for whom it acts. It has the organization, also where that is not shown."""
        fields = kwargs.get("fields")
        if obj is None and fields is not None and own_organization(request) is not None and self._adds_organization():
            kwargs["fields"] = [*fields, "organization"]
        form = super().get_form(request, obj, change, **kwargs)
        return type(form.__name__, (form,), {"request": request, "console": self})

    # --- Who sees what ---

    def get_queryset(self, request: HttpRequest) -> "models.QuerySet[Any]":
        """The rows of the organization of who asks, and those offered to all."""
        rows = super().get_queryset(request)
        access = getattr(request, "access", None)
        if access is None or not may(request, self.permission_read):
            return rows.none()
        seen = access.rows(rows, organization=self.organization_lookup, hosted=self.shows_hosted)
        return cast("models.QuerySet[Any]", seen)

    def get_list_display(self, request: HttpRequest) -> Any:
        """Without the organization where there is only one."""
        columns = super().get_list_display(request)
        return columns if own_organization(request) is None else [each for each in columns if each != "organization"]

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Without the organization where there is only one."""
        filters = super().get_list_filter(request)
        if own_organization(request) is None:
            return filters
        return [each for each in filters if (each[0] if isinstance(each, tuple) else each) != "organization"]

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Rows are found by the page's filters alone: admin's own rule lets an address ask for any column, digests too."""
        column = lookup.partition("__")[0]
        filtered = {each[0] if isinstance(each, tuple) else each for each in self.list_filter}
        asked = {getattr(each, "parameter_name", each) for each in filtered}
        if column not in asked and column in {field.name for field in self.model._meta.fields}:
            return False
        return super().lookup_allowed(lookup, value, request)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Raises BadRequest for what no text of ours holds and PostgreSQL does not take."""
        if any("\0" in text for texts in request.GET.lists() for text in (texts[0], *texts[1])):
            raise BadRequest
        return super().changelist_view(request, extra_context)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """As who asks may see them."""
        return self.shown_fieldsets(request, obj, super().get_fieldsets(request, obj))

    def shown_fieldsets(self, request: HttpRequest, obj: Any, fieldsets: Any) -> Any:
        """Without the organization where there is only one; and for who may only look, without what is for entering alone.

        Admin would otherwise look for a value to show in its place, and find a method of the row's that opens its secret.
        """
        hidden = set() if own_organization(request) is None else {"organization"}
        if self._is_hosted_for(request, obj):
            hidden.update(self.hosted_hides)
        if obj is not None and not self.has_change_permission(request, obj):
            columns = {field.name for field in self.model._meta.concrete_fields}
            names = flatten_fieldsets(fieldsets)
            hidden |= {name for name in names if name not in columns and not hasattr(self, name)}
        if not hidden:
            return fieldsets
        return [
            (title, {**options, "fields": [each for each in options["fields"] if each not in hidden]})
            for title, options in fieldsets
        ]

    def _adds_organization(self) -> bool:
        declared: Any = self.add_fieldsets or self.fieldsets or [(None, {"fields": self.fields or ()})]
        return "organization" in flatten_fieldsets(declared)

    def get_actions(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """What is done with selected rows is for who may change them."""
        return super().get_actions(request, *args, **kwargs) if may(request, self.permission_write) else {}

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whether the page is offered at all."""
        return may(request, self.permission_read)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may read them."""
        return may(request, self.permission_read)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever may write them."""
        return may(request, self.permission_write)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may write them; what is offered to all, platform staff alone."""
        return may(request, self.permission_write) and not self._is_hosted_for(request, obj)

    def has_act_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether who asks may press the buttons that change a row: those of lists too, which name none."""
        if not may(request, self.permission_write):
            return False
        if object_id is None or own_organization(request) is None or not self.shows_hosted:
            return True
        return not self._is_hosted_for(request, self.get_object(request, str(object_id)))

    def has_look_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether who asks may press the buttons that only show something."""
        return may(request, self.permission_read)

    def has_limits_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """For the buttons that lead to what limits a row."""
        return may(request, "policies.read")

    def has_staff_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """For the buttons that are platform staff's alone."""
        return may(request, "")

    def _is_hosted_for(self, request: HttpRequest, row: Any) -> bool:
        """Whether the row is the installation's, and who asks is an organization's."""
        return (
            self.shows_hosted
            and own_organization(request) is not None
            and row is not None
            and row.organization_id is None
        )

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> Any:
        # Admin would redirect to the overview; others' rows and none at all are the same: not found.
        raise Http404

    # --- Buttons ---

    def hidden_buttons(self, row: Any) -> Collection[str]:
        """The names of `actions_detail` that do not apply to the row as it is."""
        return ()

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Those that apply."""
        items = super().get_actions_detail(request, object_id)
        if not items:
            return items
        hidden = tuple(f"_{name}" for name in self.hidden_buttons(self.row_or_404(request, object_id)))
        return [item for item in items if not item.action_name.endswith(hidden)]

    # --- Pages ---

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """With one button: to save; and without links to what who looks may not see."""
        context.update(show_save_and_add_another=False, show_save_and_continue=False)
        context["show_history"] = may(request, "events.read")
        context["adminform"] = RowForm(context["adminform"])
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """Nothing: the form's action did."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: Any) -> None:
        """Nothing: the form's action did."""

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Nothing: the action left its admin event."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Nothing: the action left its admin event."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: rows are disabled, revoked or suspended, so that what refers to them stays readable."""
        return False

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        """The row's admin events, in place of admin's own log."""
        return HttpResponseRedirect(f"{reverse('admin:audit_adminevent_changelist')}?q={object_id}")

    def row_or_404(self, request: HttpRequest, object_id: str) -> Any:
        """The row of a page of ours. Raises Http404; PermissionDenied to who may not see it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        return row

    def row_url(self, row: models.Model) -> str:
        """The row's page."""
        meta = row._meta
        return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=(row.pk,))

    def page(
        self, request: HttpRequest, template: str, *, title: str, row: models.Model | None, **context: Any
    ) -> TemplateResponse:
        """A page of ours within the console. Never cached: some show a secret."""
        request.current_app = self.admin_site.name
        response = TemplateResponse(
            request,
            template,
            {
                **self.admin_site.each_context(request),
                "title": title,
                "opts": self.opts,
                "original": row,
                "row": row,
                "row_url": self.row_url(row) if row is not None else None,
                "is_popup": IS_POPUP_VAR in request.GET,
                **context,
            },
        )
        response["Cache-Control"] = "no-store"
        return response

    def ask(
        self,
        request: HttpRequest,
        row: models.Model | None,
        *,
        title: str,
        sentence: str,
        button: str,
        perform: Callable[[dict[str, Any]], HttpResponse | str],
        danger: bool = False,
        form_class: type[forms.Form] = forms.Form,
        initial: Mapping[str, Any] | None = None,
        back: str = "",
        template: str = "console/ask.html",
    ) -> HttpResponse:
        """A page that says what will happen and has one button; the button does it.

        `perform` gets the form's values and returns a sentence for the row's page (or the page at `back`), or a page of its
        own. What it refuses (ValidationError) is shown in place.
        """
        form = form_class(request.POST if request.method == "POST" else None, initial=dict(initial or {}))
        back = back or (self.row_url(row) if row is not None else "")
        refused = ""
        if request.method == "POST" and form.is_valid():
            try:
                done = perform(form.cleaned_data)
            except ValidationError as refusal:
                refused = show_in(form, refusal)
            else:
                if not isinstance(done, str):
                    return done
                messages.success(request, done)
                return HttpResponseRedirect(back)
        return self.page(
            request,
            template,
            title=title,
            row=row,
            back=back,
            sentence=sentence,
            button=button,
            danger=danger,
            form=form,
            refused=refused,
        )

    def gone(self, request: HttpRequest, sentence: str) -> HttpResponse:
        """Back to the list, after an action that removed its row."""
        messages.success(request, sentence)
        return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"))

    def each_selected(
        self, request: HttpRequest, rows: models.QuerySet[Any], perform: Callable[[Any], bool], done: str
    ) -> None:
        """Run an action on each selected row and say how many it changed; `done` has %(done)d and %(of)d."""
        changed, refusals, total = 0, [], 0
        for row in rows:
            total += 1
            if self._is_hosted_for(request, row):
                refusals.append(_("%(row)s is offered to everybody: platform staff alone change it.") % {"row": row})
                continue
            try:
                changed += perform(row)
            except ValidationError as refusal:
                refusals.append(one_sentence(refusal))
        if changed or not refusals:
            self.message_user(request, done % {"done": changed, "of": total}, messages.SUCCESS)
        for sentence in refusals[:3]:
            self.message_user(request, sentence, messages.ERROR)
        if len(refusals) > 3:
            self.message_user(request, _("…and %(more)d more.") % {"more": len(refusals) - 3}, messages.ERROR)


class ReadOnlyAdmin(ConsoleAdmin):
    """A page over rows that nobody writes here, and of which there may be very many: they are never counted."""

    show_full_result_count = False
    paginator = InfinitePaginator
    show_facets = ShowFacets.NEVER

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False


def show_in(form: forms.Form, refusal: ValidationError) -> str:
    """Put what was refused at its fields; what has none is returned."""
    if not hasattr(refusal, "error_dict"):
        return one_sentence(refusal)
    elsewhere = {}
    for field, errors in refusal.error_dict.items():
        if field in form.fields:
            form.add_error(field, errors)
        else:
            elsewhere[field] = errors
    return one_sentence(ValidationError(elsewhere)) if elsewhere else ""
