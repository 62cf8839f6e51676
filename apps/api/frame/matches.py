"""Versions of rows: an ETag for what was read, and If-Match so that nobody writes over what they have not seen."""

import hashlib
from collections.abc import Collection, Mapping
from typing import Any

import orjson
from django.utils.translation import gettext as _

from apps.api.frame.errors import Changed, MatchRequired

ANY = "*"


def tag_of(shown: Mapping[str, Any], *, leaving_out: Collection[str] = ()) -> str:
    """The ETag of a row as it is shown, without what changes by itself."""
    told = {name: value for name, value in shown.items() if name not in leaving_out}
    digest = hashlib.sha256(orjson.dumps(told, default=str, option=orjson.OPT_SORT_KEYS))
    return f'"{digest.hexdigest()[:32]}"'


def check_match(header: str | None, tag: str, *, needed: bool) -> None:
    """Raises Changed where If-Match names another version, MatchRequired where it must be there and is not."""
    if header is None:
        if needed:
            raise MatchRequired(_("Say which version you have read: send its ETag as If-Match, or * for any."))
        return
    wanted = {part.strip() for part in header.split(",")}
    if ANY not in wanted and tag not in wanted:
        raise Changed(_("Somebody changed it since you read it: read it again."))
