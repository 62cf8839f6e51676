"""The view that every resource is made of: who asks, what they may, in whose database scope; then one handler of a few lines."""

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.api.frame.authentication import KeyAuthentication, PersonAuthentication
from apps.api.frame.errors import shown_request_id
from apps.api.frame.matches import check_match, tag_of
from apps.api.frame.operations import Operation, Shape, operation_of
from apps.api.frame.pages import LIMIT, page
from apps.api.frame.parsing import JsonParser, OnlyJson
from apps.api.frame.queries import PageQuery
from apps.api.frame.rates import check_failures, check_rate, note_failure
from apps.api.frame.repeats import once
from apps.core.actor import Actor
from apps.core.tenancy import scoped
from apps.orgs.access import Access
from apps.orgs.models import Organization, SharedRow
from apps.orgs.roles import Permission

_READING = frozenset({"GET", "HEAD"})
_ABSENT: Any = object()


class ApiView(APIView):
    """One path. Its handlers say what they take and give with `operation`, and find it on `self`.

    Each request is one transaction, in the database scope of whoever asks. In this order: who asks (401), how often (429), what
    they may (403), whether the row is there for them (404), the query and the body (400), its version (412, 428); then the handler.
    """

    tag: ClassVar[str]  # under which the schema lists it
    permissions: ClassVar[Mapping[str, Permission | None]]  # by verb; None: whoever is known
    rows: ClassVar[Any] = None  # the model whose row the path names, as its last `…_id`
    related: ClassVar[tuple[str, ...]] = ("organization",)
    locks: ClassVar[bool] = (
        True  # the row before it is changed; False: the action does, in its own order, or takes its time
    )
    shows: ClassVar[Shape | None] = None  # how a row is shown; its version is taken from that
    changes_by_itself: ClassVar[tuple[str, ...]] = ("last_used_at", "state")  # which no version follows
    staff_only: ClassVar[frozenset[str]] = frozenset()  # verbs for platform staff

    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    authentication_classes = [KeyAuthentication, PersonAuthentication]
    permission_classes = []
    throttle_classes = []
    parser_classes = [JsonParser]
    content_negotiation_class = OnlyJson

    access: Access
    row: Any
    given: dict[str, Any]
    query: dict[str, Any]

    # --- The way of a request ---

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """The framework's, with the handler in its transaction."""
        self.args, self.kwargs, self.format_kwarg = args, kwargs, None
        asked = self.initialize_request(request, *args, **kwargs)
        self.request = cast("Any", asked)
        self.headers = {"X-Request-Id": shown_request_id(request), "Cache-Control": "no-store"}
        response: HttpResponseBase
        try:
            self.initial(asked, *args, **kwargs)
            with scoped(self.access.scope), transaction.atomic():
                response = self._answer(asked)
        except Exception as error:  # noqa: BLE001 - the exception handler knows or logs every one
            response = self.handle_exception(error)
        if isinstance(response, Response):
            self.response = self.finalize_response(asked, response, *args, **kwargs)
            return cast("HttpResponseBase", self.response)
        for name, value in self.headers.items():
            response.headers.setdefault(name, value)
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002 - the framework's signature
        """Who asks, how often, and whether they may."""
        request.accepted_renderer, request.accepted_media_type = self.perform_content_negotiation(request)
        verb = "GET" if request.method == "HEAD" else request.method or ""
        check_failures(request._request)
        self.access = self._known(request)
        check_rate(request._request, self.access)
        if verb not in self.permissions:
            self.headers["Allow"] = ", ".join(self.permissions)
            raise exceptions.MethodNotAllowed(verb)
        needed = self.permissions[verb]
        if needed is not None:
            self.access.require(needed)
        if verb in self.staff_only and not self.access.is_platform_staff:
            raise PermissionDenied(_("Only the installation's operators may do this."))

    def _known(self, request: Request) -> Access:
        """Who asks. Raises NotAuthenticated, AuthenticationFailed, TooManyRequests."""
        try:
            found = request.auth
        except exceptions.AuthenticationFailed:
            note_failure(request._request)
            raise
        if isinstance(found, Access):
            return found
        note_failure(request._request)
        raise exceptions.NotAuthenticated(_("Sign in, or send Authorization: Bearer tg_admin_…"))

    def _answer(self, request: Request) -> HttpResponseBase:
        handler = getattr(self, "get" if request.method == "HEAD" else (request.method or "").lower())
        told = operation_of(handler)
        if told is None:
            raise NotImplementedError(f"{type(self).__name__}.{request.method} says not what it takes")
        reads = request.method in _READING
        if self.rows is not None:
            self.row = self.find(lock=not reads)
        self.query = self._read(told.query, request.query_params.dict(), told)
        if told.takes is not None:
            self.given = self._read_body(told.takes, request)
        if not reads and (self.rows is not None or request.method == "PATCH"):
            self._check_version(request, told)
        if told.creates:
            return once(request, self.access, lambda: self._finish(handler(), told))
        return self._finish(handler(), told)

    def _finish(self, found: Any, told: Operation) -> Response:
        """What a handler returned, as an answer: a row is shown as its operation says."""
        if isinstance(found, HttpResponseBase):
            return cast("Response", found)
        if told.gives is None:
            return Response(None, status=204)
        shown = found if isinstance(found, dict) else self.shown(found, told.gives)
        headers = {}
        if not isinstance(found, dict) and told.gives is self.shows:
            headers["ETag"] = tag_of(shown, leaving_out=self.changes_by_itself)
        return Response(shown, status=told.status, headers=headers)

    # --- What a handler uses ---

    @property
    def actor(self) -> Actor:
        """Who acts."""
        return self.access.actor("api")

    def shown(self, row: Any, shape: Shape, **context: Any) -> dict[str, Any]:
        """A row as JSON."""
        return dict(shape(row, context={"access": self.access, **context}).data)

    def mine(self, rows: QuerySet[Any], *, hosted: bool = True) -> QuerySet[Any]:
        """Those rows of the organization of whoever asks, and what the installation offers to all. The database sees to it as well.

        Platform staff see every organization's, or with `?organization=` one's.
        """
        found = self.access.rows(rows, hosted=hosted and issubclass(rows.model, SharedRow))
        chosen = getattr(self, "query", {}).get("organization")
        return found if chosen is None else found.filter(organization=chosen)

    def find(self, *, lock: bool = False) -> Any:
        """The row that the path names. Raises Http404 where there is none for whoever asks."""
        (key,) = self.kwargs.values()
        rows = self.visible().select_related(*self.related)
        row = rows.filter(pk=key).first()
        if row is None:
            raise Http404
        if lock:
            self.check_own(row)
        if lock and self.locks:
            row = rows.filter(pk=key).select_for_update(of=("self",)).first()
            if row is None:
                raise Http404
        return row

    def versioned(self) -> Any:
        """What `shows` shows, as it is before a change and until it."""
        return self.row

    def visible(self) -> QuerySet[Any]:
        """The rows that a path may name."""
        return self.mine(self.rows._default_manager.all())

    def check_own(self, row: Model) -> None:
        """Raises PermissionDenied for what the installation offers to all: its operators change that."""
        if isinstance(row, SharedRow) and row.organization_id is None and not self.access.is_platform_staff:
            raise PermissionDenied(_("This is the installation's: only its operators change it."))

    def organization(self) -> Organization:
        """The organization that something is created for. Raises ValidationError where it is not said and not plain."""
        found = self.owner(given=self.given.pop("organization", _ABSENT))
        if found is None:
            raise ValidationError({"organization": _("Say which organization.")})
        return found

    def owner(self, *, given: Any = _ABSENT) -> Organization | None:
        """The same for what the installation may have too: None. Raises PermissionDenied to others than its operators."""
        if given is _ABSENT:
            given = getattr(self, "given", {}).pop("organization", _ABSENT)
        own = self.access.organization
        if own is not None:
            if given is None:
                raise PermissionDenied(_("Only the installation's operators may do this for all organizations."))
            if given is not _ABSENT and given.pk != own.pk:
                raise ValidationError({"organization": _("There is no such organization here.")})
            return own
        if given is not _ABSENT:
            return cast("Organization | None", given)
        found = self.access.organization_for_creation()
        if found is None:
            raise ValidationError({"organization": _("Say which organization: there are several, or none.")})
        return found

    def page(self, rows: QuerySet[Any], shape: Shape | None = None, **context: Any) -> dict[str, Any]:
        """One page of rows, as JSON."""
        shape = shape or self.shows
        if shape is None:
            raise NotImplementedError("a page needs to know how a row is shown")
        found, after = page(rows, cursor=self.query.get("cursor", ""), limit=self.query.get("limit", LIMIT))
        return {"data": [self.shown(row, shape, **context) for row in found], "next_cursor": after}

    # --- Reading ---

    def _check_version(self, request: Request, told: Operation) -> None:
        if self.shows is None:
            return
        tag = tag_of(self.shown(self.versioned(), self.shows), leaving_out=self.changes_by_itself)
        check_match(request.headers.get("If-Match"), tag, needed=told.needs_match)

    def _read(self, shape: Shape | None, values: Mapping[str, Any], told: Operation) -> dict[str, Any]:
        if shape is None:
            if told.paged:
                shape = PageQuery
            elif values:
                raise serializers.ValidationError({name[:80]: [_("There is no such parameter.")] for name in values})
            else:
                return {}
        read = shape(data=values, context={"access": self.access})
        read.is_valid(raise_exception=True)
        return dict(read.validated_data)

    def _read_body(self, shape: Shape, request: Request) -> dict[str, Any]:
        read = shape(data=request.data, context={"access": self.access, "row": getattr(self, "row", None)})
        read.is_valid(raise_exception=True)
        return dict(read.validated_data)
