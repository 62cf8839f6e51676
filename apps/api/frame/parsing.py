"""Bodies are JSON. Nothing in them makes us fail."""

import codecs
import json
from collections.abc import Mapping
from typing import IO, Any

from django.core.exceptions import RequestDataTooBig
from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser

BODY_MOST = 1_000_000  # bytes
_NESTED_MOST = 32


class JsonParser(BaseParser):
    """A JSON object, strictly: no NaN, no name twice, whole characters, nested no deeper than anything that we take."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,  # noqa: ARG002 - the framework's signature
        parser_context: Mapping[str, Any] | None = None,  # noqa: ARG002 - the framework's signature
    ) -> Any:
        """The values. Raises ParseError, RequestDataTooBig."""
        raw = stream.read(BODY_MOST + 1)
        if len(raw) > BODY_MOST:
            raise RequestDataTooBig
        try:
            text = codecs.decode(raw, "utf-8")
            found = json.loads(text, parse_constant=_refuse, object_pairs_hook=_object)
            _check_depth(found, _NESTED_MOST)
        except (ValueError, RecursionError) as error:
            raise ParseError(_("The body is not JSON that we can read: %(why)s.") % {"why": str(error)[:120]}) from None
        if not isinstance(found, dict):
            raise ParseError(_("The body is a JSON object: {…}."))
        _check_characters(found)
        return found


class OnlyJson(BaseContentNegotiation):
    """Answers are JSON, whatever Accept says: an error in it is better than none."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        """The one for the body's type; None: there is none."""
        kind = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == kind), None)

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:  # noqa: ARG002 - the framework's signature
        """The first."""
        return renderers[0], renderers[0].media_type


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _check_depth(value: Any, left: int) -> None:
    """Raises ValueError for what is nested too deep."""
    if left < 0:
        raise ValueError("nested too deep")
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _check_depth(inner, left - 1)


def _check_characters(found: dict[str, Any]) -> None:
    """Raises ParseError or ValidationError for half a character (\\ud800), which nothing can be written with."""
    if any(map(_is_halved, found)):
        raise ParseError(_("The body has half a character in a name, without its other half."))
    wrong = [name for name, value in found.items() if _is_halved(value)]
    if wrong:
        raise ValidationError(dict.fromkeys(wrong, _("There is half a character in it, without its other half.")))


def _is_halved(value: Any) -> bool:
    if isinstance(value, str):
        return not value.isascii() and any("\ud800" <= each <= "\udfff" for each in value)
    if isinstance(value, dict):
        return any(map(_is_halved, value)) or any(map(_is_halved, value.values()))
    return isinstance(value, list) and any(map(_is_halved, value))
