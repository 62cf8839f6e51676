"""Request records: pages, one, and all of them as a stream of CSV or JSON lines."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

import orjson
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connection, transaction
from django.http import StreamingHttpResponse
from rest_framework import serializers

from apps.api.frame.examples import example_of, id_of
from apps.api.frame.fields import Choice, Moment, QuerySwitch, QueryWhole, Ref, RequestId, Strict, Text, Usd
from apps.api.frame.operations import operation
from apps.api.frame.queries import PageQuery
from apps.api.frame.views import ApiView
from apps.audit.models import RequestRecord
from apps.audit.selectors import Filters, records_matching
from apps.core.tenancy import Scope, scoped
from apps.orgs.models import Organization
from apps.orgs.roles import Permission
from apps.services.models import Service, Token

BATCH = 500
PLAIN = (
    "created_at",
    "endpoint",
    "dialect",
    "method",
    "path",
    "model_asked",
    "model_served",
    "provider",
    "stream",
    "status",
    "error_code",
    "service_tier",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
    "other_usage",
    "usage_estimated",
    "first_byte_us",
    "total_us",
    "upstream_us",
    "gateway_us",
    "bytes_in",
    "bytes_out",
    "client_address",
    "user_agent",
    "end_user",
    "client_request_id",
    "upstream_request_id",
    "tags",
    "flags",
    "attempts",
)
FORMATS = {"csv": "text/csv", "jsonl": "application/x-ndjson"}


class RecordShown(serializers.ModelSerializer[RequestRecord]):
    """One request through the gateway, refusals included. Never what was asked or answered."""

    example = {
        "organization": id_of("organization"),
        "service": id_of("service"),
        "token": id_of("token"),
        "credential": id_of("credential"),
        "endpoint": "chat_completions",
        "dialect": "openai",
        "method": "POST",
        "path": "/v1/chat/completions",
        "model_asked": "gpt-5",
        "model_served": "gpt-5-2026-08-07",
        "provider": "openai",
        "stream": True,
        "status": 200,
        "error_code": "",
        "service_tier": "",
        "input_tokens": 1200,
        "cache_read_tokens": 0,
        "output_tokens": 34,
        "first_byte_us": 412_000,
        "total_us": 1_935_000,
        "upstream_us": 1_934_200,
        "gateway_us": 800,
        "bytes_in": 5120,
        "bytes_out": 9874,
        "client_address": "192.0.2.7",
        "user_agent": "OpenAI/Python 3.52.0",
        "end_user": "customer-17",
        "client_request_id": "",
        "upstream_request_id": "req_abc123",
        "tags": ["team=support"],
        "attempts": [
            {"credential": "main", "provider": "openai", "model": "gpt-5", "status": 200, "total_us": 1_934_200}
        ],
        "cost_usd": "0.00184",
        "price_ids": [id_of("price")],
    }

    id = RequestId()
    organization = serializers.UUIDField(source="organization_id", allow_null=True)
    service = serializers.UUIDField(source="service_id", allow_null=True)
    token = serializers.UUIDField(source="token_id", allow_null=True)
    credential = serializers.UUIDField(source="credential_id", allow_null=True)
    created_at = Moment()
    cost_usd = Usd(allow_null=True, help_text="null: nothing to pay, or unpriced.")
    price_ids = serializers.ListField(child=serializers.UUIDField())
    attempts = serializers.ListField(child=serializers.DictField())
    other_usage = serializers.DictField(allow_null=True)

    class Meta:
        model = RequestRecord
        fields = ("id", "organization", "service", "token", "credential", *PLAIN, "cost_usd", "price_ids")


class _Filters(Strict):
    """Which records."""

    since = Moment(required=False, help_text="Arrived then or later.")
    until = Moment(required=False, help_text="Arrived before.")
    service = Ref(Service, required=False)
    token = Ref(Token, required=False)
    model = Text(required=False, help_text="As the client asked for it.")
    end_user = Text(required=False)
    failed = QuerySwitch(required=False, help_text="true: status 400 and above; false: below.")
    status_class = QueryWhole(required=False, min_value=1, max_value=5, help_text="4 for 4xx.")
    error_code = Text(max_length=64, required=False)


class RecordQuery(_Filters, PageQuery):
    """Which records, and which page of them."""


class ExportQuery(_Filters):
    """Which records, in which form."""

    format = Choice(choices=list(FORMATS))
    organization = Ref(Organization, required=False, help_text="For the installation's operators: of this one alone.")


def filters_of(view: ApiView) -> Filters:
    """What a query asks for, of the organization of whoever asks."""
    query, own = view.query, view.access.organization or view.query.get("organization")
    service, token = query.get("service"), query.get("token")
    return Filters(
        organization_id=None if own is None else own.pk,
        service_ids=None if service is None else [service.pk],
        token_id=None if token is None else token.pk,
        since=query.get("since"),
        until=query.get("until"),
        failed=query.get("failed"),
        status_class=query.get("status_class"),
        error_code=query.get("error_code"),
        model=query.get("model"),
        end_user=query.get("end_user"),
    )


class RecordView(ApiView):
    """What is about one record."""

    tag = "Records"
    permissions: ClassVar = {"GET": Permission.RECORDS_READ}
    rows = RequestRecord
    related = ()
    shows = RecordShown


class Records(ApiView):
    """All of them."""

    tag = "Records"
    permissions: ClassVar = {"GET": Permission.RECORDS_READ}
    shows = RecordShown

    @operation("List request records", query=RecordQuery, gives=RecordShown, paged=True)
    def get(self) -> Any:
        """A page of them."""
        return self.page(self.mine(records_matching(**filters_of(self))))


class OneRecord(RecordView):
    """One of them."""

    @operation("Read a request record", gives=RecordShown)
    def get(self) -> Any:
        """As it was written."""
        return self.row


def _exported(form: str) -> str:
    return (head(form) + written([example_of(RecordShown)], form)).decode()


EXPORTS = {kind: partial(_exported, form) for form, kind in FORMATS.items()}


class RecordExport(ApiView):
    """All of them, as a stream."""

    tag = "Records"
    permissions: ClassVar = {"GET": Permission.RECORDS_READ}

    @operation("Export request records", query=ExportQuery, text=EXPORTS)
    def get(self) -> Any:
        """Newest first, read and sent in small batches: as many as there are, in little memory."""
        form, filters, scope = self.query["format"], filters_of(self), self.access.scope
        batches = Batches(filters, scope, form)
        is_asynchronous = isinstance(self.request._request, ASGIRequest)
        response = StreamingHttpResponse(
            batches.asynchronous() if is_asynchronous else batches.synchronous(), content_type=FORMATS[form]
        )
        response["Content-Disposition"] = f'attachment; filename="records.{form}"'
        return response


class Batches:
    """Records in batches, each read by itself in the scope of whoever asked: the request is over when most are read."""

    def __init__(self, filters: Filters, scope: Scope, form: str) -> None:
        self._filters, self._scope, self._form = filters, scope, form
        self._after: UUID | None = None

    def synchronous(self) -> Iterator[bytes]:
        """For a server that waits in a thread."""
        yield head(self._form)
        while (text := self._next()) is not None:
            yield text

    async def asynchronous(self) -> AsyncIterator[bytes]:
        """For a server that does not."""
        yield head(self._form)
        while (text := await sync_to_async(self._next_alone, thread_sensitive=False)()) is not None:
            yield text

    def _next_alone(self) -> bytes | None:
        try:
            return self._next()
        finally:
            connection.close()  # the thread's own: it may never be used again

    def _next(self) -> bytes | None:
        with scoped(self._scope), transaction.atomic():
            rows = records_matching(**self._filters).order_by("-id")
            if self._after is not None:
                rows = rows.filter(id__lt=self._after)
            found = list(rows[:BATCH])
        if not found:
            return None
        self._after = found[-1].pk
        return written([dict(RecordShown(record).data) for record in found], self._form)


def head(form: str) -> bytes:
    """What comes before all records."""
    return _csv_lines([RecordShown.Meta.fields]) if form == "csv" else b""


def written(records: Sequence[dict[str, Any]], form: str) -> bytes:
    """Records as lines."""
    if form == "jsonl":
        return b"".join(orjson.dumps(record, default=str, option=orjson.OPT_APPEND_NEWLINE) for record in records)
    return _csv_lines([_cell(record[name]) for name in RecordShown.Meta.fields] for record in records)


def _csv_lines(rows: Iterable[Iterable[Any]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, list | dict):
        return orjson.dumps(value, default=str).decode()
    # A spreadsheet takes what begins so for a formula; clients choose names and headers.
    return f"'{value}" if isinstance(value, str) and value[:1] in _FORMULA else value


_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 - the wide forms, which some spreadsheets take for the others
