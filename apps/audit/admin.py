"""The console's pages about the record: requests, and what operators changed. Read only."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.audit.filters import DoorFilter, FlagFilter, OutcomeFilter, WhenFilter, WhichModelFilter, WhoseFilter
from apps.audit.models import AdminEvent, RequestRecord
from apps.audit.readable import milliseconds, money, money_exact
from apps.audit.tables import input_total
from apps.core.console import ReadOnlyAdmin
from apps.core.ids import parse_request_id
from apps.core.numbers import separated
from apps.core.theme import display

# Who puts a record's `decision` into words, as tables: the room that decides appends itself, as this one does not know it.
decision_tellers: list[Callable[[dict[str, Any]], list["Told"]]] = []

_TAG = re.compile(r"[a-z0-9_.-]{1,64}=.{1,128}")
# How a moment is written in an event; shown to the second.
_MOMENT = re.compile(r"\A(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.\d+)?\+00:00\Z")


# What a record's flags mean.
FLAGS = {
    "unpriced": gettext_lazy("No price was known for what was used: its cost is not counted anywhere."),
    "usage_mismatch": gettext_lazy("The provider's total is not the sum of its parts: look at the buckets."),
    "over_hold": gettext_lazy("It cost more than was held for it: its budgets may be exceeded by the difference."),
    "unknown_tier": gettext_lazy("The provider served a tier without prices: those of the dearest tier were taken."),
    "paid_later": gettext_lazy(
        "What a batch, or a response made in the background, has cost: recorded when it was over."
    ),
    "unowned": gettext_lazy("Whose the response is could not be written down: nobody can refer to it."),
    "hedged": gettext_lazy("Two routes were asked at once, as the first was slow: both may be charged."),
    "counters_unasked": gettext_lazy("Limits and budgets could not be asked, and its policy lets calls pass then."),
}


@dataclass(frozen=True, slots=True)
class Told:
    """A part of a decision as a table; a row's last cell says whether it was this that refused the call."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[tuple[str, ...], bool]]


@dataclass(frozen=True, slots=True)
class Step:
    """One bar of a request's timeline; `left` and `width` are per cent of the whole."""

    title: str
    detail: str
    time: str
    left: float
    width: float
    kind: str


@admin.register(RequestRecord)
class RequestRecordAdmin(ReadOnlyAdmin):
    """Requests, newest first."""

    permission_read = "records.read"
    list_display = ("arrived", "short_id", "service", "model_asked", "outcome", "tokens", "cost", "first_byte", "total")
    list_display_links = ("arrived", "short_id")
    list_select_related = ("service",)
    list_filter = (
        WhenFilter,
        OutcomeFilter,
        ("organization", WhoseFilter),
        ("service", WhoseFilter),
        ("token", WhoseFilter),
        WhichModelFilter,
        FlagFilter,
    )
    search_fields = ("id",)
    search_help_text = gettext_lazy("A request's id (req_…), an end user, or a tag (team=search), in full")
    sortable_by = ()  # by time alone: any other order would read every record
    ordering = ("-id",)
    list_fullwidth = True
    actions = None

    @display(description=gettext_lazy("time (UTC)"))
    def arrived(self, record: RequestRecord) -> str:
        """When it arrived."""
        return f"{record.created_at:%Y-%m-%d %H:%M:%S}"

    @display(description=gettext_lazy("request"))
    def short_id(self, record: RequestRecord) -> str:
        """Enough of the id to tell rows apart."""
        return format_html('<code title="{}">…{}</code>', record.shown_id, record.shown_id[-8:])

    @display(
        description=gettext_lazy("outcome"),
        label={"ok": "success", "gone": "info", "limited": "warning", "refused": "warning", "error": "danger"},
    )
    def outcome(self, record: RequestRecord) -> tuple[str, str]:
        """Status and reason."""
        return _kind(record.status), " ".join(filter(None, (str(record.status), record.error_code.replace("_", " "))))

    @display(description=gettext_lazy("tokens in → out"))
    def tokens(self, record: RequestRecord) -> str:
        """All of the input, whatever its bucket, and the output; ≈ where nobody counted."""
        taken, given = input_total(record), record.output_tokens
        if taken is None and given is None:
            return "—"
        about = "≈ " if record.usage_estimated else ""
        return f"{about}{_count(taken)} → {_count(given)}"

    @display(description=gettext_lazy("cost"))
    def cost(self, record: RequestRecord) -> str:
        """In USD; ≈ where usage was estimated, and a word where nobody knows the price."""
        return _cost(record)

    @display(description=gettext_lazy("first byte"))
    def first_byte(self, record: RequestRecord) -> str:
        """Time to the answer's first byte."""
        return milliseconds(record.first_byte_us)

    @display(description=gettext_lazy("total"))
    def total(self, record: RequestRecord) -> str:
        """Time to the answer's end."""
        return milliseconds(record.total_us)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[RequestRecord], search_term: str
    ) -> tuple[QuerySet[RequestRecord], bool]:
        """By what an index finds: the id as clients see it, the end user, or a tag."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if (found := parse_request_id(term)) is not None:
            return queryset.filter(pk=found), False
        if _TAG.fullmatch(term):
            # The second half lets PostgreSQL use the index, which holds only records that have tags.
            return queryset.filter(tags__contains=[term]).exclude(tags=[]), False
        return queryset.filter(end_user=term), False

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """One request as a timeline."""
        record = self.row_or_404(request, object_id)
        return self.page(
            request,
            "console/record.html",
            title=record.shown_id,
            row=record,
            record=record,
            kind=_kind(record.status),
            outcome=self.outcome(record)[1],
            figures=_figures(record),
            steps=_timeline(record),
            facts=_facts(record),
            flags=[{"name": flag, "sentence": FLAGS.get(flag, "")} for flag in record.flags],
            prices=_prices(record),
            decision=[]
            if record.decision is None
            else [told for tell in decision_tellers for told in tell(record.decision)],
        )


@admin.register(AdminEvent)
class AdminEventAdmin(ReadOnlyAdmin):
    """What operators changed, newest first."""

    permission_read = "events.read"
    list_display = ("happened", "action", "target_label", "summary", "actor_label", "door", "organization")
    list_select_related = ("organization",)
    list_filter = (WhenFilter, DoorFilter, ("organization", WhoseFilter))
    search_fields = ("target_label", "actor_label", "action")
    search_help_text = gettext_lazy("What was changed, who did it, the action (token.revoked), or a row's id")
    sortable_by = ()
    ordering = ("-id",)
    list_fullwidth = True
    actions = None

    @display(description=gettext_lazy("time (UTC)"))
    def happened(self, event: AdminEvent) -> str:
        """When."""
        return f"{event.created_at:%Y-%m-%d %H:%M:%S}"

    @display(description=gettext_lazy("changed"))
    def summary(self, event: AdminEvent) -> str:
        """The names of what changed."""
        if event.before is None or event.after is None:
            return ""
        return ", ".join(_label(name) for name in event.after)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AdminEvent], search_term: str
    ) -> tuple[QuerySet[AdminEvent], bool]:
        """A row's id finds its events by index; anything else is looked for in the words."""
        try:
            return queryset.filter(target_id=UUID(search_term.strip())), False
        except ValueError:
            return super().get_search_results(request, queryset, search_term)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """One change, before and after side by side."""
        event = self.row_or_404(request, object_id)
        before, after = event.before or {}, event.after or {}
        return self.page(
            request,
            "console/event.html",
            title=f"{event.action} · {event.target_label}",
            row=event,
            event=event,
            rows=[
                {"label": _label(name), "before": _shown(before, name), "after": _shown(after, name)}
                for name in dict.fromkeys((*before, *after))
            ],
        )


def _kind(status: int) -> str:
    if status < 400:
        return "ok"
    if status == 499:
        return "gone"
    if status == 429:
        return "limited"
    return "refused" if status < 500 else "error"


def _count(number: int | None) -> str:
    return "—" if number is None else separated(f"{number:,}")


def _cost(record: RequestRecord) -> str:
    if record.cost_usd is None:
        return _("unpriced") if "unpriced" in record.flags else "—"
    return f"{'≈ ' if record.usage_estimated else ''}{money(record.cost_usd)}"


def _exactly(record: RequestRecord) -> str:
    """The cost to the last digit, where the short form leaves some out."""
    exact = money_exact(record.cost_usd)
    return exact if record.cost_usd and exact != money(record.cost_usd) else ""


def _prices(record: RequestRecord) -> list[Any]:
    """The rows of the price book that the cost was computed from, in their order."""
    if not record.price_ids:
        return []
    rows = apps.get_model("providers", "Price")._default_manager.in_bulk(record.price_ids)
    return [rows.get(key) or {"pk": None, "gone": key} for key in record.price_ids]


def _figures(record: RequestRecord) -> list[tuple[str, str, str]]:
    """The large numbers: label, value, remark."""
    estimated = _("estimated") if record.usage_estimated else ""
    cached = _("%(count)s from cache") % {"count": _count(record.cache_read_tokens)} if record.cache_read_tokens else ""
    thought = _("%(count)s reasoning") % {"count": _count(record.reasoning_tokens)} if record.reasoning_tokens else ""
    return [
        (_("First byte"), milliseconds(record.first_byte_us), ""),
        (_("Total"), milliseconds(record.total_us), ""),
        (
            _("In the gateway"),
            milliseconds(record.gateway_us),
            _("upstream %(time)s") % {"time": milliseconds(record.upstream_us)},
        ),
        (_("Tokens in"), _count(input_total(record)), cached or estimated),
        (_("Tokens out"), _count(record.output_tokens), thought or estimated),
        (_("Cost"), _cost(record), _exactly(record)),
    ]


def _credential_of(attempt: Mapping[str, Any]) -> str:
    """The label of the credential that was asked, and whether it is the installation's."""
    label = str(attempt.get("credential") or "?")
    return _("%(label)s (hosted)") % {"label": label} if attempt.get("hosted") else label


def _timeline(record: RequestRecord) -> list[Step]:
    """The request and its attempts upstream, to scale."""
    whole = max(record.total_us, 1)
    steps = [
        Step(
            title=_("Request"),
            detail=f"{record.method} {record.path}",
            time=milliseconds(record.total_us),
            left=0,
            width=100,
            kind="whole",
        )
    ]
    for number, attempt in enumerate(record.attempts, start=1):
        started, length = attempt.get("started_us") or 0, attempt.get("total_us") or 0
        status = attempt.get("status")
        reason = " ".join(str(part) for part in (status, attempt.get("error_code")) if part)
        left = min(100 * started / whole, 99.5)
        steps.append(
            Step(
                title=_("Attempt %(number)d: %(credential)s")
                % {"number": number, "credential": _credential_of(attempt)},
                detail=" · ".join(
                    part for part in (attempt.get("model"), reason, attempt.get("upstream_request_id")) if part
                ),
                time=milliseconds(length),
                left=left,
                width=max(min(100 * length / whole, 100 - left), 0.5),
                kind="good" if status is not None and status < 400 and not attempt.get("error_code") else "bad",
            )
        )
    if record.first_byte_us is not None:
        steps.append(
            Step(
                title=_("Answer"),
                detail=_("%(bytes)s bytes, streamed") % {"bytes": _count(record.bytes_out)}
                if record.stream
                else _("%(bytes)s bytes") % {"bytes": _count(record.bytes_out)},
                time=_("from %(time)s") % {"time": milliseconds(record.first_byte_us)},
                left=min(100 * record.first_byte_us / whole, 99.5),
                width=max(100 - 100 * record.first_byte_us / whole, 0.5),
                kind="answer",
            )
        )
    return steps


def _facts(record: RequestRecord) -> list[tuple[str, list[tuple[str, Any]]]]:
    """Everything else that is known, in groups; what is not known is left out."""
    groups: list[tuple[str, list[tuple[str, Any]]]] = [
        (
            _("Who"),
            [
                (_("Organization"), _named(record, "organization")),
                (_("Service"), _named(record, "service")),
                (_("Token"), _named(record, "token")),
                (_("End user"), record.end_user),
                (_("Tags"), ", ".join(record.tags)),
                (_("Address"), record.client_address),
                (_("User agent"), record.user_agent),
                (_("Client's request id"), record.client_request_id),
            ],
        ),
        (
            _("What"),
            [
                (_("Endpoint"), f"{record.endpoint} ({record.dialect})" if record.dialect else record.endpoint),
                (_("Model asked"), record.model_asked),
                (_("Model served"), record.model_served),
                (_("Provider"), record.provider),
                (_("Credential"), _named(record, "credential")),
                (_("Upstream's request id"), record.upstream_request_id),
                (_("Bytes in"), _count(record.bytes_in)),
            ],
        ),
        (
            _("Tokens"),
            [
                (_("Input, uncached"), record.input_tokens),
                (_("Read from cache"), record.cache_read_tokens),
                (_("Written to cache (5 min)"), record.cache_write_5m_tokens),
                (_("Written to cache (1 h)"), record.cache_write_1h_tokens),
                (_("Audio in"), record.audio_input_tokens),
                (_("Output"), record.output_tokens),
                (_("of it reasoning"), record.reasoning_tokens),
                (_("Audio out"), record.audio_output_tokens),
                (_("Image in"), record.image_input_tokens),
                (_("Image out"), record.image_output_tokens),
                *((_label(name).capitalize(), value) for name, value in (record.other_usage or {}).items()),
                (_("Service tier"), record.service_tier),
            ],
        ),
    ]
    known = [(title, [(label, value) for label, value in rows if value not in {None, ""}]) for title, rows in groups]
    return [(title, rows) for title, rows in known if rows]


def _named(record: RequestRecord, field: str) -> str | None:
    """What a reference names, or its bare id once that is gone: records outlive what they refer to."""
    key = getattr(record, f"{field}_id")
    if key is None:
        return None
    target = RequestRecord._meta.get_field(field).related_model
    found = target._default_manager.filter(pk=key).first() if isinstance(target, type) else None
    return str(found) if found is not None else _("%(id)s (gone)") % {"id": key}


def _label(name: str) -> str:
    return name.removesuffix("_id").replace("_", " ")


def _shown(values: dict[str, Any], name: str) -> str:
    if name not in values:
        return ""
    value = values[name]
    if value is None or value == "" or value == []:
        return "—"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, str):
        return _MOMENT.sub(r"\1 \2 UTC", value)
    return json.dumps(value, ensure_ascii=False)
