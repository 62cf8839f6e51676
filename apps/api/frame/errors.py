"""Every error of the API in one shape: code, message, what is wrong with which field, and the request's id.

{"error": {"code": "invalid", "message": "…", "fields": {"name": ["…"]}, "request_id": "req_…"}}
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import redis
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, RequestDataTooBig, ValidationError
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.defaults import server_error
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.ids import request_id, uuid7

log = logging.getLogger(__name__)
_WHOLE = "__all__"  # the errors of no field


class ApiError(Exception):
    """An outcome that the API chooses. The message is a sentence for whoever asked."""

    status, code = 400, "invalid"
    headers: Mapping[str, str] = {}


class KeyReused(ApiError):
    """An Idempotency-Key that came before, with another request."""

    status, code = 409, "idempotency_key_reused"


class AnswerLost(ApiError):
    """A repeated create whose answer cannot be read any more."""

    status, code = 409, "idempotency_answer_lost"


class Changed(ApiError):
    """The row is not the one that If-Match names."""

    status, code = 412, "changed_meanwhile"


class MatchRequired(ApiError):
    """A change that replaces lists as a whole, and does not say which version it is of."""

    status, code = 428, "if_match_required"


class TooManyRequests(ApiError):
    """More requests than the rate allows."""

    status, code = 429, "too_many_requests"

    def __init__(self, seconds: int) -> None:
        """`seconds` until there is room again."""
        super().__init__(_("Too many requests: try again in %(seconds)d s.") % {"seconds": seconds})
        self.headers = {"Retry-After": str(seconds)}


class Unavailable(ApiError):
    """Something that the answer needs cannot be reached."""

    status, code = 503, "unavailable"
    headers = {"Retry-After": "5"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error, ready to be written."""

    status: int
    code: str
    message: str
    fields: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self, shown_id: str) -> dict[str, Any]:
        """The JSON of it."""
        return {
            "error": {
                "code": self.code,
                "message": self.message,
                "fields": dict(self.fields),
                "request_id": shown_id,
            }
        }


def refusal_of(error: Exception) -> Refusal | None:
    """What an exception means to the client; None: nothing that we foresaw."""
    match error:
        case ApiError():
            return Refusal(error.status, error.code, str(error), headers=error.headers)
        case ValidationError():
            return _invalid(error)
        case exceptions.ValidationError():
            return _invalid_fields(_flat(error.detail))
        case RequestDataTooBig():
            return Refusal(413, "too_large", _("The request's body is too large."))
        case Http404() | exceptions.NotFound():
            return Refusal(404, "not_found", _("There is no such thing here."))
        case PermissionDenied() | exceptions.PermissionDenied():
            return Refusal(403, "permission_denied", str(error) or _("You may not do this."))
        case redis.RedisError():
            return Refusal(
                503, "unavailable", _("The counters cannot be reached: try again."), headers={"Retry-After": "5"}
            )
        case OperationalError() | InterfaceError():
            return Refusal(
                503, "unavailable", _("The database cannot be reached: try again."), headers={"Retry-After": "5"}
            )
        case exceptions.APIException():
            return _of_the_framework(error)
        case _:
            return None


def answer_to(error: Exception, context: Mapping[str, Any]) -> Response:
    """The framework's exception handler: every exception becomes an answer, an unforeseen one a 500 with a line in the log."""
    request: Request = context["request"]
    shown_id = shown_request_id(request._request)
    refusal = refusal_of(error)
    if refusal is None:
        log.error("the API failed: %s %s (%s)", request.method, request.path, shown_id, exc_info=error)
        refusal = _unforeseen()
    return Response(refusal.body(shown_id), status=refusal.status, headers=dict(refusal.headers))


def shown_request_id(request: HttpRequest) -> str:
    """The id of a request, made when it is first asked for."""
    found: str | None = getattr(request, "shown_id", None)
    if found is None:
        found = request_id(uuid7())
        request.shown_id = found  # type: ignore[attr-defined]  # for this request only
    return found


def plain_answer(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    """The same shape where the framework is not at work: for paths that lead nowhere, and for what fails before a view."""
    shown_id = shown_request_id(request)
    headers = {**refusal.headers, "X-Request-Id": shown_id, "Cache-Control": "no-store"}
    return JsonResponse(refusal.body(shown_id), status=refusal.status, headers=headers)


@csrf_exempt  # there is nothing to protect, and a refusal would be a page
def no_such_path(request: HttpRequest) -> HttpResponse:
    """For every path under /api that leads nowhere."""
    return plain_answer(request, Refusal(404, "not_found", _("There is no such path: see /api/docs/.")))


def unforeseen(request: HttpRequest) -> HttpResponse:
    """Django's handler of what failed before or outside of a view: in the API's shape under /api, its own page elsewhere."""
    if request.path.startswith("/api/"):
        return plain_answer(request, _unforeseen())
    return server_error(request)


def _unforeseen() -> Refusal:
    return Refusal(500, "internal_error", _("The request could not be completed: the log says why, under its id."))


def _invalid(error: ValidationError) -> Refusal:
    if not hasattr(error, "error_dict"):
        return Refusal(400, "invalid", " ".join(error.messages))
    return _invalid_fields(error.message_dict)


def _invalid_fields(found: Mapping[str, list[str]]) -> Refusal:
    fields = {name: [str(each) for each in messages] for name, messages in found.items() if name not in _NO_FIELD}
    whole = [str(each) for name, messages in found.items() if name in _NO_FIELD for each in messages]
    message = " ".join(whole) or _("Something is wrong with: %(fields)s.") % {"fields": ", ".join(fields)}
    return Refusal(400, "invalid", message, fields)


_NO_FIELD = frozenset({_WHOLE, NON_FIELD_ERRORS, "non_field_errors", ""})


def _flat(detail: Any, path: str = "") -> dict[str, list[str]]:
    """Nested errors under paths such as targets.0.model."""
    if isinstance(detail, Mapping):
        found: dict[str, list[str]] = {}
        for name, inner in detail.items():
            at = path if name == "non_field_errors" else f"{path}.{name}" if path else str(name)
            found |= _flat(inner, at)
        return found
    if isinstance(detail, list | tuple):
        if all(isinstance(each, str) for each in detail):
            return {path: [str(each) for each in detail]} if detail else {}
        found = {}
        for place, inner in enumerate(detail):
            found |= _flat(inner, f"{path}.{place}" if path else str(place))
        return found
    return {path: [str(detail)]}


def _of_the_framework(error: exceptions.APIException) -> Refusal:
    headers: dict[str, str] = {}
    if (realm := getattr(error, "auth_header", None)) is not None:
        headers["WWW-Authenticate"] = realm
    code = _CODES.get(type(error), "invalid")
    return Refusal(error.status_code, code, str(error.detail), headers=headers)


_CODES: Mapping[type[exceptions.APIException], str] = {
    exceptions.ParseError: "malformed",
    exceptions.NotAuthenticated: "not_authenticated",
    exceptions.AuthenticationFailed: "not_authenticated",
    exceptions.MethodNotAllowed: "method_not_allowed",
    exceptions.UnsupportedMediaType: "unsupported_media_type",
}
