"""The console's pages about prices: the book, one row with its history, import and export."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import BooleanField, Case, Q, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from apps.core.console import ConsoleAdmin, own_organization, request_actor
from apps.core.numbers import separated
from apps.core.rowactions import row_action
from apps.core.rows import one_sentence
from apps.core.theme import action, display
from apps.providers.models import Provider, ProviderModel
from apps.providers.prices.actions import ImportRefused, price_set, price_withdraw, prices_import
from apps.providers.prices.documents import COLUMNS, UnreadableFile, read_prices, write_csv, write_json
from apps.providers.prices.filters import OwnerFilter, ProviderFilter, RowsFilter, TierFilter, in_force_now
from apps.providers.prices.forms import ConfirmForm, ExportForm, PriceForm, UploadForm, packed
from apps.providers.prices.kinds import TOKEN_KINDS
from apps.providers.prices.models import Price
from apps.providers.prices.money import shown
from apps.providers.prices.review import Review
from apps.providers.prices.selectors import price_book, price_history, prices_in_force, prices_of, prices_review
from apps.providers.prices.shown import PIECES, other_prices, per_million, per_thousand, price_lines, tier_words

STATE_LABELS = {"now": "success", "later": "info", "past": "default", "withdrawn": "danger"}
VERDICTS = {
    "added": gettext_lazy("added"),
    "changed": gettext_lazy("changed"),
    "same": gettext_lazy("same"),
    "unusual": gettext_lazy("unusual"),
    "refused": gettext_lazy("refused"),
}
_REVIEW_SHOWN = 300  # rows of a preview; those that need a look come first
_PLACE = ("organization", "provider", "model", "tier", "above_input_tokens")


def state_of(price: Any) -> tuple[str, str]:
    """Whether a row applies. Needs the annotation `is_in_force`."""
    if price.withdrawn_at is not None:
        return "withdrawn", _("withdrawn")
    if price.effective_from > now():
        return "later", _("applies later")
    return ("now", _("applies")) if price.is_in_force else ("past", _("replaced"))


def with_state(rows: "QuerySet[Price]") -> "QuerySet[Any]":
    """Rows that know whether they apply now."""
    is_in_force = Case(When(pk__in=in_force_now(), then=Value(True)), default=Value(False), output_field=BooleanField())
    return cast("QuerySet[Any]", rows.annotate(is_in_force=is_in_force))


def price_rows(rows: "QuerySet[Any]") -> list[dict[str, Any]]:
    """Rows for a table on other pages: what each costs, since when, and whether it applies."""
    return [
        {
            "price": row,
            "tier": tier_words(row),
            "input": None if row.input is None else per_million(row.input),
            "output": None if row.output is None else per_million(row.output),
            "others": other_prices(row),
            "state": state_of(row),
            "label": STATE_LABELS[state_of(row)[0]],
        }
        for row in rows
    ]


def _cell(price: Decimal | None) -> str:
    if price is None:
        return "—"
    return format_html('{}<small class="tg-under">{} / 1K</small>', per_million(price), per_thousand(price))


@admin.register(Price)
class PriceAdmin(ConsoleAdmin):
    """The price book: rows are added and withdrawn, never changed."""

    permission_read = "prices.read"
    permission_write = "prices.write"
    shows_hosted = True
    form = PriceForm
    list_display = (
        "model",
        "provider",
        "which",
        "input_price",
        "cached_price",
        "output_price",
        "others",
        "since",
        "owner",
        "state",
    )
    list_filter = (RowsFilter, ProviderFilter, OwnerFilter, TierFilter)
    list_select_related = ("organization",)
    list_fullwidth = True
    sortable_by = ("model", "provider", "since")
    ordering = ("provider", "model", "tier", "above_input_tokens", "-effective_from")
    search_fields = ("model", "provider")
    search_help_text = gettext_lazy("A model or a provider; prices are USD for a million tokens, below for a thousand")
    autocomplete_fields = ("organization",)
    fieldsets = (
        (
            None,
            {"fields": (*_PLACE, "effective_from", "source", "note", "replace")},
        ),
        (
            gettext_lazy("Tokens"),
            {
                "fields": ("unit", *TOKEN_KINDS),
                "description": gettext_lazy(
                    "Empty is no price of its own, and 0 is free: cached and written input then costs what input does, "
                    "sound and pictures what text does, and reasoning is part of the output."
                ),
            },
        ),
        (gettext_lazy("By the piece, in USD for one"), {"fields": tuple(PIECES)}),
    )
    actions = None
    actions_list = ("bring", "export")
    actions_detail = ("withdraw",)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        """With whether each applies now."""
        return with_state(super().get_queryset(request))

    @display(description=gettext_lazy("tier"))
    def which(self, price: Price) -> str:
        """The tier and threshold."""
        return tier_words(price)

    @display(description=gettext_lazy("input / 1M"))
    def input_price(self, price: Price) -> str:
        """For a million, and for a thousand."""
        return _cell(price.input)

    @display(description=gettext_lazy("cached / 1M"))
    def cached_price(self, price: Price) -> str:
        """For a million, and for a thousand."""
        return _cell(price.cached_input)

    @display(description=gettext_lazy("output / 1M"))
    def output_price(self, price: Price) -> str:
        """For a million, and for a thousand."""
        return _cell(price.output)

    @display(description=gettext_lazy("more"))
    def others(self, price: Price) -> str:
        """The other kinds."""
        return format_html('<span class="tg-others">{}</span>', other_prices(price) or "—")

    @display(description=gettext_lazy("from"), ordering="effective_from")
    def since(self, price: Price) -> str:
        """The day it applies from."""
        return f"{price.effective_from:%Y-%m-%d}"

    @display(description=gettext_lazy("paid by"))
    def owner(self, price: Price) -> str:
        """The organization, or everybody."""
        return str(price.organization) if price.organization is not None else _("everybody")

    @display(description=gettext_lazy("state"), label=STATE_LABELS)
    def state(self, price: Any) -> tuple[str, str]:
        """Whether it applies."""
        return state_of(price)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: a later row takes a row's place, or it is withdrawn."""
        return False

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """What a row says that shall be replaced (`like`), or what the address names."""
        like = Price.objects.filter(pk=key).first() if (key := _uuid(request.GET.get("like", ""))) else None
        if like is None:
            return {name: value for name, value in request.GET.items() if name in _PLACE}
        prices = {kind: shown(price) for kind in TOKEN_KINDS if (price := getattr(like, kind)) is not None}
        prices |= {kind: shown(price.scaleb(-6)) for kind in PIECES if (price := getattr(like, kind)) is not None}
        return {**{name: getattr(like, name) for name in _PLACE}, "source": like.source, **prices}

    def perform_add(self, request: HttpRequest, values: Mapping[str, Any]) -> Price:
        """Set a price."""
        fields = {name: value for name, value in values.items() if name != "unit"}
        return price_set(**fields, actor=request_actor(request))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One row: every kind, where it comes from, and what came before and after it."""
        row = self.row_or_404(request, object_id)
        history = price_rows(with_state(price_history(row)).select_related("organization")[:100])
        later = [item["price"].effective_from for item in history if item["price"].withdrawn_at is None]
        return self.page(
            request,
            "console/price.html",
            title=f"{row.provider}/{row.model}",
            row=row,
            price=row,
            tier=tier_words(row),
            owner=self.owner(row),
            state=state_of(row)[1],
            label=STATE_LABELS[state_of(row)[0]],
            lines=price_lines(row),
            until=min((moment for moment in later if moment > row.effective_from), default=None),
            history=history,
            is_link=row.source.startswith(("https://", "http://")),
            may_withdraw=row.withdrawn_at is None and self.has_act_permission(request, object_id),
        )

    withdraw = row_action(
        "withdraw",
        gettext_lazy("Withdraw"),
        icon="undo",
        danger=True,
        does=lambda row, actor: price_withdraw(price=row, actor=actor),
        title=gettext_lazy("Withdraw %(price)s"),
        sentence=gettext_lazy(
            "For a row that was a mistake. New calls are priced by what applies without it, or are unpriced if nothing "
            "does. What was recorded stays as it was: adjustments correct it."
        ),
        done=gettext_lazy("It is withdrawn."),
        already=gettext_lazy("It was withdrawn already."),
        words=lambda row: {"price": row},
    )

    @action(description=gettext_lazy("Import"), url_path="import", icon="upload")
    def bring(self, request: HttpRequest) -> HttpResponse:
        """Choose a file, see what it would do, then do it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return self._upload(request, _own(request, UploadForm()))
        if "content" not in request.POST:
            upload = _own(request, UploadForm(request.POST, request.FILES))
            if not upload.is_valid():
                return self._upload(request, upload)
            values = {**upload.cleaned_data, "content": upload.cleaned_data["file"], "trust": False, "replace": False}
            values["effective_from"] = values["effective_from"] or now()
            return self._preview(request, values, upload=upload)
        confirm = _own(request, ConfirmForm(request.POST))
        if not confirm.is_valid():
            problem = ValidationError(confirm.errors.as_data())
            return self._upload(request, _own(request, UploadForm()), refused=one_sentence(problem))
        values = {**confirm.cleaned_data, "effective_from": confirm.cleaned_data["effective_from"] or now()}
        return self._preview(request, values, upload=_own(request, UploadForm()), perform="import" in request.POST)

    def _upload(self, request: HttpRequest, form: UploadForm, refused: str = "") -> HttpResponse:
        return self.page(
            request, "console/price_import.html", title=_("Import prices"), row=None, form=form, refused=refused
        )

    def _preview(
        self, request: HttpRequest, values: dict[str, Any], *, upload: UploadForm, perform: bool = False
    ) -> HttpResponse:
        """What the file would do, with a button to do it; or, with `perform`, the deed."""
        try:
            lines = read_prices(values["content"], unit=values["unit"], effective_from=values["effective_from"])
        except UnreadableFile as error:
            return self._upload(request, upload, refused=str(error))
        choices = {"trust": values["trust"], "replace": values["replace"]}
        refused = ""
        if perform:
            try:
                done = prices_import(
                    organization=values["organization"], lines=lines, actor=request_actor(request), **choices
                )
            except ImportRefused as refusal:
                found = refusal.review
            except ValidationError as refusal:  # somebody else changed them meanwhile
                refused = one_sentence(refusal)
                found = prices_review(values["organization"], lines, **choices)
            else:
                return self.gone(request, _imported(done))
        else:
            found = prices_review(values["organization"], lines, **choices)
        order = {"refused": 0, "unusual": 1, "changed": 2, "added": 3, "same": 4}
        rows = sorted(found.rows, key=lambda row: order[row.verdict])
        form = ConfirmForm(
            initial={
                **values,
                "content": packed(values["content"]),
                "effective_from": values["effective_from"].isoformat(),
            }
        )
        return self.page(
            request,
            "console/price_preview.html",
            title=_("Import prices"),
            row=None,
            form=form,
            counts=[(word, sum(row.verdict == verdict for row in rows)) for verdict, word in VERDICTS.items()],
            rows=[_reviewed(row) for row in rows[:_REVIEW_SHOWN]],
            more=max(len(rows) - _REVIEW_SHOWN, 0),
            refused=refused or _refusal(found),
            taken=found.count("added") + found.count("changed"),
            organization=values["organization"],
        )

    @action(description=gettext_lazy("Export"), url_path="export", icon="download", takes="look")
    def export(self, request: HttpRequest) -> HttpResponse:
        """Ask which, then hand over the file."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = ExportForm(request.POST if request.method == "POST" else None)
        if request.method != "POST" or not form.is_valid():
            return self.page(request, "console/price_export.html", title=_("Export prices"), row=None, form=form)
        owner, moment = form.cleaned_data["organization"], form.cleaned_data["effective_at"]
        found = prices_in_force(owner, moment) if moment else prices_of(owner).order_by(*_PLACE[1:], "effective_from")
        kind = form.cleaned_data["format"]
        text = (write_csv if kind == "csv" else write_json)(found.values(*COLUMNS))
        response = HttpResponse(text, content_type="text/csv" if kind == "csv" else "application/json")
        name = "prices" if owner is None else f"prices-{owner.slug}"
        response["Content-Disposition"] = f'attachment; filename="{name}.{kind}"'
        return response

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """To the row's page, which shows what was there before."""
        messages.success(request, _("%(price)s is set.") % {"price": obj})
        return HttpResponseRedirect(reverse("admin:providers_price_change", args=(obj.pk,)))


def model_prices(model: ProviderModel) -> dict[str, Any]:
    """What the page of a model shows of its prices: those that apply, and all of the name that it is priced by."""
    upstream = model.upstream_name or model.name
    # As the gateway looks them up: an Azure deployment has any name, so the model's own comes first there.
    names = (model.name, upstream) if model.provider == Provider.AZURE_OPENAI else (upstream, model.name)
    book = price_book(model.organization, filter(None, (model.priced_as, *names)))
    found = (book.sheet(model.provider, name, now().timestamp(), model.priced_as) for name in names)
    sheet = next(filter(None, found), None)
    provider, priced = (model.provider, names[0]) if sheet is None else (sheet.provider, sheet.model)
    rows = Price.objects.filter(provider=provider, model=priced).select_related("organization")
    owners = Q(organization=None) | Q(organization=model.organization_id) if model.organization_id else Q()
    query = urlencode({"provider": provider, "q": priced, "rows": "all"})
    return {
        "priced_by": sheet,
        "price_name": names[0],
        "priced_name": f"{provider}/{priced}",
        "shown_prices": price_rows(with_state(rows.filter(owners)).order_by("-effective_from", "tier")[:50]),
        "prices_url": f"{reverse('admin:providers_price_changelist')}?{query}",
    }


def _reviewed(row: Any) -> dict[str, Any]:
    line = row.line
    labels = {"added": "success", "changed": "info", "same": "default", "unusual": "warning", "refused": "danger"}
    return {
        "number": line.number,
        "name": f"{line.provider}/{line.model}",
        "tier": " ".join(filter(None, (line.tier, f"> {separated(f'{line.above:,}')}" if line.above else ""))),
        "since": line.effective_from,
        "input": per_million(line.prices["input"]) if "input" in line.prices else "—",
        "output": per_million(line.prices["output"]) if "output" in line.prices else "—",
        "verdict": VERDICTS[row.verdict],
        "label": labels[row.verdict],
        "reason": row.reason,
    }


def _refusal(found: Review) -> str:
    """Why the file may not be imported as it is, and what to do about it on this page."""
    if found.unit_doubt:
        return _("%(doubt)s. Choose the file again with that unit, or say below that it is right.") % {
            "doubt": found.unit_doubt.partition(". Import it")[0]
        }
    if bad := found.count("refused"):
        return ngettext(
            "%(count)d row is refused: mend it in the file and choose it again. Nothing is imported until then.",
            "%(count)d rows are refused: mend them in the file and choose it again. Nothing is imported until then.",
            bad,
        ) % {"count": bad}
    if odd := found.count("unusual"):
        return ngettext(
            "%(count)d price is more than ten times what it is now, or less than a tenth. If that is right, say so below.",
            "%(count)d prices are more than ten times what they are now, or less than a tenth. If that is right, say so "
            "below.",
            odd,
        ) % {"count": odd}
    return ""


def _imported(done: Review) -> str:
    taken = done.count("added") + done.count("changed")
    if not taken:
        return _("Nothing to import: the book says all that already.")
    return ngettext("Imported %(count)d price.", "Imported %(count)d prices.", taken) % {"count": taken}


def _own[F: forms.Form](request: HttpRequest, form: F) -> F:
    """The form, for the one organization of who asks, whatever is sent: what is disabled is not read."""
    organization = own_organization(request)
    if organization is not None:
        field = form.fields["organization"]
        field.disabled, field.initial, field.widget = True, organization.pk, forms.HiddenInput()
    return form


def _uuid(text: str) -> Any:
    field = Price._meta.pk
    try:
        return field.to_python(text) if text else None
    except ValidationError:
        return None
