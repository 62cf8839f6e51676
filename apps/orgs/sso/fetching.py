"""One exchange with the identity provider, and in which ways it fails."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import orjson

from apps.core.calling import CallFailed, Problem, call
from apps.orgs.sso.refusals import BAD_ANSWER, BAD_DISCOVERY, UNREACHABLE, Reason, SsoRefused

TIME_LIMIT = 10.0  # seconds for the whole exchange: a person waits
SIZE_LIMIT = 1 << 20  # bytes; the largest in use, a long list of keys, is some 20 KB
_AGENT = "tollgate-sso/1"

# What the page says, and what the log and the admin event say: in English, as these do.
_PROBLEMS: Mapping[Problem, tuple[Reason, str]] = {
    Problem.URL: (BAD_DISCOVERY, "%(host)r cannot be called"),
    Problem.NAME: (UNREACHABLE, "the name %(host)s cannot be resolved"),
    Problem.EGRESS: (
        UNREACHABLE,
        "%(host)s is at %(detail)s, where this installation does not connect to (EGRESS_ALLOW)",
    ),
    Problem.CONNECTION: (UNREACHABLE, "no connection to %(host)s: nothing answers there"),
    Problem.CERTIFICATE: (UNREACHABLE, "no connection to %(host)s: its certificate was refused (%(detail)s)"),
    Problem.TIME: (UNREACHABLE, "%(host)s did not answer within %(limit).0f s"),
    Problem.SIZE: (BAD_ANSWER, "%(host)s sent more than %(size)d MB"),
    Problem.COMPRESSED: (BAD_ANSWER, "%(host)s sent a compressed answer that nobody asked for"),
    Problem.BROKEN: (UNREACHABLE, "%(host)s broke off (%(detail)s)"),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider said."""

    url: str
    status: int
    content_type: str
    body: bytes

    def document(self) -> dict[str, Any]:
        """The JSON object that it is. Raises SsoRefused."""
        try:
            found = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            found = None
        if self.status != HTTPStatus.OK or not isinstance(found, dict):
            raise SsoRefused(BAD_ANSWER, f"{self.url} answered {self.status} and no JSON object to go by")
        return found


def fetch(url: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    """GET `url`, or POST `form` to it. Raises SsoRefused where no whole answer came."""
    sent = {"accept": "application/json", **(headers or {})}
    if form is not None:
        sent["content-type"] = "application/x-www-form-urlencoded"
    try:
        answer = call(
            "GET" if form is None else "POST",
            url,
            agent=_AGENT,
            seconds=TIME_LIMIT,
            most=SIZE_LIMIT,
            headers=sent,
            body=None if form is None else urlencode(form).encode(),
        )
    except CallFailed as failure:
        reason, sentence = _PROBLEMS[failure.problem]
        words = {"host": failure.host, "detail": failure.detail, "limit": TIME_LIMIT, "size": SIZE_LIMIT >> 20}
        raise SsoRefused(reason, sentence % words) from failure
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Answer(url=url.partition("?")[0], status=answer.status, content_type=kind, body=answer.body)
