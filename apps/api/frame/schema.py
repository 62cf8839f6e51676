"""The schema (OpenAPI 3), from what each handler says of itself: bodies, examples, headers, and every error."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from apps.api.frame.examples import REQUEST, example_of
from apps.api.frame.operations import Operation, Shape, operation_of
from apps.api.frame.queries import PageQuery
from apps.api.frame.repeats import HEADER

JSON = "application/json"
CURSOR = "AZql9QIAcACAAAAAAAAAAA"  # as lists give them
_WORDS = {"GET": "read", "PATCH": "change", "PUT": "set", "DELETE": "remove"}


@dataclass(frozen=True, slots=True)
class Error:
    """A status that operations answer with: when, and what its example says."""

    when: str
    code: str
    message: str
    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)


_ERRORS = {
    400: Error(
        "The body, the query or a header is wrong, or a rule refuses it: `fields` says where.",
        "invalid",
        "Something is wrong with: name.",
        {"name": ["A service with this name exists."]},
    ),
    401: Error(
        "Nobody is known behind the request.", "not_authenticated", "Sign in, or send Authorization: Bearer tg_admin_…"
    ),
    403: Error(
        "Whoever asks may not do this; or has still to give a second factor (`second_factor_required`).",
        "permission_denied",
        "This takes the permission services.write.",
    ),
    404: Error("There is no such thing here, or none for whoever asks.", "not_found", "There is no such thing here."),
    405: Error("This path does not take this method.", "method_not_allowed", 'Method "PUT" not allowed.'),
    409: Error(
        "The `Idempotency-Key` came before with another request, or its answer is lost.",
        "idempotency_key_reused",
        "This Idempotency-Key came with another request before: use a new one.",
    ),
    412: Error(
        "Somebody changed it since the version that `If-Match` names.",
        "changed_meanwhile",
        "Somebody changed it since you read it: read it again.",
    ),
    413: Error("The body is too large.", "too_large", "The request's body is too large."),
    415: Error(
        "The body is not `application/json`.",
        "unsupported_media_type",
        'Unsupported media type "text/plain" in request.',
    ),
    428: Error(
        "`If-Match` is missing.",
        "if_match_required",
        "Say which version you have read: send its ETag as If-Match, or * for any.",
    ),
    429: Error(
        "Too many requests: `Retry-After` says when to try again.",
        "too_many_requests",
        "Too many requests: try again in 12 s.",
    ),
    500: Error(
        "We failed: the log says why, under the request's id.",
        "internal_error",
        "The request could not be completed: the log says why, under its id.",
    ),
    503: Error(
        "A store cannot be reached: `Retry-After` says when to try again.",
        "unavailable",
        "The database cannot be reached: try again.",
    ),
}
_ERROR_HEADERS = {401: "WWW-Authenticate", 405: "Allow", 429: "Retry-After", 503: "Retry-After"}


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # the framework has no types
    """How a management key is sent."""

    target_class = "apps.api.frame.authentication.KeyAuthentication"
    name = "managementKey"

    def get_security_definition(self, _auto_schema: Any) -> dict[str, Any]:
        """`Authorization: Bearer tg_admin_…`."""
        return {"type": "http", "scheme": "bearer", "description": "A management key, `tg_admin_…`."}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # the framework has no types
    """How somebody who is signed in is known."""

    target_class = "apps.api.frame.authentication.PersonAuthentication"
    name = "session"

    def get_security_definition(self, _auto_schema: Any) -> dict[str, Any]:
        """The console's session."""
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": "sessionid",
            "description": "Signed in to the console. Everything but GET needs the CSRF token in `X-CSRFToken` too.",
        }


class ApiSchema(AutoSchema):
    """One operation of the schema."""

    @property
    def _asked_view(self) -> Any:
        return self.view

    def _response(self, *parts: Any, **options: Any) -> Any:
        return self._get_response_for_code(*parts, **options)  # type: ignore[no-untyped-call]  # the framework has no types

    @property
    def _told(self) -> Operation:
        found = operation_of(getattr(self._asked_view, self.method.lower()))
        if found is None:
            raise NotImplementedError(f"{self.method} {self.path} says not what it takes")
        return found

    @property
    def _takes(self) -> Shape:
        shape = self._told.takes
        if shape is None:
            raise NotImplementedError(f"{self.method} {self.path} has a body that nobody speaks of")
        return shape

    def get_operation(self, *parts: Any) -> Any:
        """The framework's, with an example of the body."""
        found: Any = super().get_operation(*parts)
        if found is not None and "requestBody" in found:  # None: the schema's own page, which is none of ours
            found["requestBody"]["content"][JSON]["example"] = example_of(self._takes)
        return found

    def get_operation_id(self) -> str:
        """Such as tokens_rotate: the path's words, and the verb where it is not one of them."""
        told = self._told
        parts = [part for part in self.path.strip("/").split("/")[1:] if not part.startswith("{")]
        if told.paged:
            parts.append("list")
        elif self.method == "POST":
            parts += ["create"] if told.creates else []
        else:
            parts.append(_WORDS[self.method])
        return "_".join(parts).replace("-", "_")

    def get_summary(self) -> str:
        """As the handler says."""
        return self._told.summary

    def get_description(self) -> str:  # type: ignore[override]  # always text here
        """Which permission it takes."""
        needed = self._asked_view.permissions[self.method]
        said = f"Takes the permission `{needed}`." if needed is not None else "Takes no permission."
        return f"{said} For the installation's operators." if self.method in self._asked_view.staff_only else said

    def get_tags(self) -> list[str]:
        """The view's."""
        return [self._asked_view.tag]

    def get_request_serializer(self) -> Any:
        """The body's shape."""
        return self._told.takes

    def get_override_parameters(self) -> Any:
        """The query and the headers that it knows."""
        told = self._told
        found: list[Any] = []
        query = told.query or (PageQuery if told.paged else None)
        if query is not None:
            found.append(query)
        if told.creates:
            found.append(
                OpenApiParameter(
                    HEADER,
                    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
                    OpenApiParameter.HEADER,
                    description="Makes it safe to send this again: the first answer is given again for a day.",
                )
            )
        if self._is_versioned:
            found.append(
                OpenApiParameter(
                    "If-Match",
                    {"type": "string"},
                    OpenApiParameter.HEADER,
                    required=told.needs_match,
                    description="The `ETag` of the version that this is a change of; `*`: whichever.",
                )
            )
        if told.gives is not None and told.gives is self._asked_view.shows and not told.paged:
            found.append(
                OpenApiParameter(
                    "ETag", str, OpenApiParameter.HEADER, response=[told.status], description="The version."
                )
            )
        return found

    @property
    def _is_versioned(self) -> bool:
        view = self._asked_view
        return view.shows is not None and (self.method == "PATCH" or (self.method != "GET" and view.rows is not None))

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        told = self._told
        found: dict[str, Any] = {}
        if told.text:
            body: Any = {"type": "string"}
            found["200"] = self._response(
                OpenApiResponse(body, description=told.summary), "200", media_types=[*told.text], direction=direction
            )
            for kind, made in told.text.items():
                found["200"]["content"][kind]["example"] = made()
        elif told.gives is None:
            found["204"] = {"description": "Done."}
        else:
            shape: Any = page_shape(told.gives) if told.paged else told.gives
            found[str(told.status)] = self._response(
                OpenApiResponse(shape, description=told.summary), str(told.status), direction=direction
            )
            example = example_of(told.gives)
            found[str(told.status)]["content"][JSON]["example"] = (
                {"data": [example], "next_cursor": CURSOR} if told.paged else example
            )
        found |= {str(status): {"$ref": f"#/components/responses/Error{status}"} for status in self._errors()}
        return found

    def _is_list_view(self, serializer: Any = None) -> bool:  # noqa: ARG002 - the framework's signature
        return False  # lists are pages, which say so themselves

    def _errors(self) -> Iterator[int]:
        told = self._told
        yield from (400, 401, 403)
        if "{" in self.path:
            yield 404
        yield 405
        if told.creates:
            yield 409
        if self._is_versioned:
            yield 412
        if told.takes is not None:
            yield from (413, 415)
        if told.needs_match:
            yield 428
        yield from (429, 500, 503)


@lru_cache
def page_shape(shape: Shape) -> Shape:
    """The shape of a page of them."""
    fields = {
        "data": shape(many=True),
        "next_cursor": serializers.CharField(
            allow_null=True, help_text="Send it as `cursor`; null: there are no more."
        ),
        "__doc__": f"A page of them, newest first. {shape.__doc__ or ''}".strip(),
    }
    return type(f"{shape.__name__}Page", (serializers.Serializer,), fields)


def finish_schema(result: Any, generator: Any, request: Any, public: bool) -> Any:  # noqa: ARG001, FBT001 - the framework's signature
    """What the framework cannot know: inputs take no other fields, and errors look like this."""
    components = result["components"]["schemas"]
    for name, component in components.items():
        if name.endswith(("Input", "Change")) and component.get("type") == "object":
            component["additionalProperties"] = False
    detail = {
        "type": "object",
        "description": "What went wrong.",
        "required": ["code", "message", "fields", "request_id"],
        "properties": {
            "code": {"type": "string", "description": "One word, for programs."},
            "message": {"type": "string", "description": "A sentence, for people."},
            "fields": {
                "type": "object",
                "additionalProperties": {"type": "array", "items": {"type": "string"}},
                "description": "What is wrong with which field: `targets.0.model` is inside a list.",
            },
            "request_id": {"type": "string", "description": "Under which the log knows it."},
        },
    }
    components["ErrorAnswer"] = {
        "type": "object",
        "description": "The one shape of every error.",
        "required": ["error"],
        "properties": {"error": detail},
    }
    result["components"]["responses"] = {f"Error{status}": _error(status) for status in _ERRORS}
    return result


def _error(status: int) -> dict[str, Any]:
    told = _ERRORS[status]
    fields = {name: list(messages) for name, messages in told.fields.items()}
    example = {"code": told.code, "message": told.message, "fields": fields, "request_id": REQUEST}
    schema = {"$ref": "#/components/schemas/ErrorAnswer"}
    answer: dict[str, Any] = {
        "description": told.when,
        "content": {JSON: {"schema": schema, "example": {"error": example}}},
    }
    if status in _ERROR_HEADERS:
        answer["headers"] = {_ERROR_HEADERS[status]: {"schema": {"type": "string"}}}
    return answer
