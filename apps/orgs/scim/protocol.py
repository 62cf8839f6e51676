"""SCIM's forms (RFC 7643, RFC 7644): what a filter asks, what a change says, how resources and errors are written."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.http import JsonResponse
from django.utils.translation import gettext as _

CONTENT_TYPE = "application/scim+json"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
PAGE_MOST, PAGE_USUAL = 200, 100
_OPERATIONS_MOST = 200

type Json = dict[str, Any]

_FILTER = re.compile(r'^\s*([A-Za-z][\w.:$]*(?:\[[^\]]*\]\.?\w*)?)\s+(?:[eE][qQ])\s+("(?:[^"\\]|\\.)*"|true|false)\s*$')
_MEMBER = re.compile(r'^members\[\s*value\s+eq\s+"([^"]+)"\s*\]$', re.IGNORECASE)
_EMAIL = re.compile(r"^emails(?:\[[^\]]*\])?(?:\.value)?$", re.IGNORECASE)


class ScimError(Exception):
    """An answer of the 400s and 500s, in SCIM's form."""

    def __init__(self, status: int, detail: str, scim_type: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.scim_type, self.headers = status, scim_type, headers or {}

    def response(self) -> JsonResponse:
        """As RFC 7644, section 3.12, has it."""
        body = {"schemas": [ERROR], "status": str(self.status), "detail": str(self)}
        response = answer(body | ({"scimType": self.scim_type} if self.scim_type else {}), status=self.status)
        for name, value in self.headers.items():
            response[name] = value
        return response


def answer(body: Json, *, status: int = 200) -> JsonResponse:
    """A body in SCIM's media type, which nobody keeps."""
    response = JsonResponse(body, status=status, content_type=CONTENT_TYPE)
    response["Cache-Control"] = "no-store"
    return response


def listed(resources: list[Json], *, total: int, start: int) -> JsonResponse:
    """One page of a list."""
    return answer(
        {
            "schemas": [LIST],
            "totalResults": total,
            "startIndex": start,
            "itemsPerPage": len(resources),
            "Resources": resources,
        }
    )


def page_of(query: Any) -> tuple[int, int]:
    """`startIndex`, from 1, and `count`, as they are meant: what is too small is the least, what is too large the most."""
    return max(_whole(query, "startIndex", 1), 1), min(max(_whole(query, "count", PAGE_USUAL), 0), PAGE_MOST)


def _whole(query: Any, name: str, usual: int) -> int:
    text = query.get(name, "")
    if not text:
        return usual
    if not re.fullmatch(r"-?\d{1,9}", text):
        raise ScimError(400, _("%(name)s is a whole number.") % {"name": name}, "invalidValue")
    return int(text)


def parsed_filter(text: str) -> tuple[str, str] | None:
    """`attribute eq "value"` as (attribute in lower case, value). None: no filter. Raises ScimError for any other."""
    if not text.strip():
        return None
    found = _FILTER.match(text)
    if found is None:
        raise ScimError(
            400, _('This filter is not supported: write it as userName eq "ana@example.org".'), "invalidFilter"
        )
    attribute, literal = found.groups()
    try:
        value = json.loads(literal)
    except ValueError:
        raise ScimError(400, _("The value of the filter is no JSON string."), "invalidFilter") from None
    _check_texts(value, "invalidFilter")
    attribute = attribute.lower().rpartition(":")[2] if attribute.lower().startswith("urn:") else attribute.lower()
    if _EMAIL.match(attribute):
        attribute = "emails.value"
    return attribute, str(value).lower() if isinstance(value, bool) else value


def body_of(raw: bytes) -> Json:
    """A request's body. Raises ScimError."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        raise ScimError(400, _("The body is no JSON."), "invalidSyntax") from None
    if not isinstance(found, dict):
        raise ScimError(400, _("The body is no JSON object."), "invalidSyntax")
    _check_texts(found, "invalidValue")
    return found


def _check_texts(found: Any, scim_type: str) -> None:
    """Raises ScimError for a text, at whatever depth, that JSON can spell and no database can keep."""
    waiting = [found]
    while waiting:
        match waiting.pop():
            case dict() as pairs:
                waiting += [*pairs, *pairs.values()]
            case list() as entries:
                waiting += entries
            case str() as words if "\x00" in words or any("\ud800" <= letter <= "\udfff" for letter in words):
                raise ScimError(400, _("A text has a character that cannot be kept."), scim_type)


# --- Changes ---


def operations(body: Json) -> Iterator[tuple[str, str, Any]]:
    """A PATCH's operations as (op, path, value): one for each attribute, also where they come together without a path."""
    found = _get(body, "Operations")
    if not isinstance(found, list) or not 0 < len(found) <= _OPERATIONS_MOST:
        raise ScimError(400, _("Operations is a list of 1 to %(most)d.") % {"most": _OPERATIONS_MOST}, "invalidSyntax")
    for each in found:
        op = str(_get(each, "op") or "").lower() if isinstance(each, dict) else ""
        if op not in {"add", "replace", "remove"}:
            raise ScimError(400, _("An operation is add, replace or remove."), "invalidSyntax")
        path, value = _get(each, "path"), _get(each, "value")
        if path:
            yield op, _plain(str(path)), value
        elif op == "remove" or not isinstance(value, dict):
            raise ScimError(400, _("An operation without a path has a value with attributes."), "noTarget")
        else:
            yield from ((op, _plain(str(name)), part) for name, part in value.items())


def _plain(path: str) -> str:
    """A path without the schema that it may begin with."""
    for schema in (USER, GROUP):
        if path.lower().startswith(f"{schema.lower()}:"):
            return path[len(schema) + 1 :]
    return path


def member_in_path(path: str) -> str | None:
    """The id in `members[value eq "id"]`."""
    found = _MEMBER.match(path)
    return found[1] if found else None


def is_email_path(path: str) -> bool:
    """Whether it names an e-mail, whichever way."""
    return bool(_EMAIL.match(path))


def boolean(value: Any) -> bool:
    """True and false, also as the words that some directories send. Raises ScimError."""
    word = str(value).lower()
    if word not in {"true", "false"}:
        raise ScimError(400, _("active is true or false."), "invalidValue")
    return word == "true"


def text(value: Any, name: str, *, most: int = 255) -> str:
    """A string of a sane length. Raises ScimError."""
    if not isinstance(value, str) or len(value) > most or "\x00" in value:
        raise ScimError(
            400, _("%(name)s is a text of at most %(most)d characters.") % {"name": name, "most": most}, "invalidValue"
        )
    return value.strip()


def get(body: Any, name: str) -> Any:
    """An attribute, whatever its name's case: SCIM's names have none."""
    return _get(body, name)


def _get(body: Any, name: str) -> Any:
    if not isinstance(body, dict):
        return None
    if name in body:
        return body[name]
    return next((value for key, value in body.items() if key.lower() == name.lower()), None)


def email_in(body: Json) -> str | None:
    """The primary e-mail, or the first."""
    emails = _get(body, "emails")
    if isinstance(emails, list):
        entries = [each for each in emails if isinstance(each, dict) and isinstance(_get(each, "value"), str)]
        entries.sort(key=lambda each: _get(each, "primary") is not True)
        return str(_get(entries[0], "value")) if entries else None
    return emails if isinstance(emails, str) else None


def name_in(body: Json) -> str | None:
    """A person's name, of the forms that it comes in."""
    display, name = _get(body, "displayName"), _get(body, "name")
    formatted = _get(name, "formatted")
    parts = [part for part in (_get(name, "givenName"), _get(name, "familyName")) if isinstance(part, str) and part]
    for found in (display, formatted, " ".join(parts)):
        if isinstance(found, str) and found.strip():
            return found.strip()
    return None
