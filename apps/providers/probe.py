"""Asking a provider for its models: how a credential is tested, and where an import comes from.

This is the control plane's one call to a provider; the egress rule is the gateway's (apps.core.calling).
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx
import orjson
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.calling import Answer, CallFailed, Problem, call
from apps.core.endpoints import MODELS
from apps.providers.addressing import authentication, targets
from apps.providers.kinds import kind_of
from apps.providers.models import Credential
from apps.providers.names import model_name_is_valid

TIME_LIMIT = 10.0  # seconds for the whole exchange
# Bytes. The longest listing in use (an aggregator's 500 models, described at length) is below 1 MB.
SIZE_LIMIT = 8 << 20
_AGENT = "tollgate"  # as the gateway calls itself

_PROBLEMS = {
    Problem.URL: gettext_lazy("The base URL cannot be read: write it as https://host/path."),
    Problem.NAME: gettext_lazy("The name %(host)s cannot be resolved: check the base URL."),
    Problem.EGRESS: gettext_lazy(
        "%(host)s is at %(detail)s, where this installation does not connect to: add its range to EGRESS_ALLOW."
    ),
    Problem.CONNECTION: gettext_lazy(
        "No connection to %(detail)s: nothing answers there. Check the base URL and the network."
    ),
    Problem.CERTIFICATE: gettext_lazy("The certificate of %(host)s was refused: %(detail)s."),
    Problem.TIME: gettext_lazy("%(host)s did not answer within %(limit)d seconds."),
    Problem.SIZE: gettext_lazy("%(host)s sent more than %(size)d MB where a list of models was expected."),
    Problem.COMPRESSED: gettext_lazy("%(host)s sent a compressed answer that nobody asked for."),
    Problem.BROKEN: gettext_lazy("%(host)s broke off the conversation (%(detail)s)."),
}


@dataclass(frozen=True, slots=True)
class CredentialTest:
    """What a live call showed. `sentence` is for the operator and never holds the secret."""

    ok: bool
    sentence: str
    status: int | None = None  # HTTP; None if no answer came
    latency_ms: int | None = None
    models: Sequence[str] = field(default=())


def probe(credential: Credential, secret: str) -> CredentialTest:
    """List the provider's models with `secret`. What provider, network or operator did wrong is in the result."""
    url = models_url(credential)
    started = time.monotonic()
    try:
        answer = call(
            "GET",
            url,
            agent=_AGENT,
            seconds=TIME_LIMIT,
            most=SIZE_LIMIT,
            headers={"accept": "application/json", **_headers(credential.provider, secret)},
        )
    except CallFailed as failure:
        words = {"host": failure.host, "detail": failure.detail, "limit": TIME_LIMIT, "size": SIZE_LIMIT >> 20}
        return CredentialTest(ok=False, sentence=_PROBLEMS[failure.problem] % words)
    latency_ms = round((time.monotonic() - started) * 1000)
    ok, sentence, models = _verdict(url, answer)
    return CredentialTest(ok=ok, sentence=sentence, status=answer.status, latency_ms=latency_ms, models=models)


def models_url(credential: Credential) -> str:
    """Where this credential's provider lists its models."""
    target = targets(credential.provider, credential.base_url, credential.api_version, "")[MODELS]
    return str(httpx.URL(credential.base_url).join(target))


def _headers(provider: str, secret: str) -> Mapping[str, str]:
    return {**authentication(provider, secret), **kind_of(provider).listing_headers}


def _verdict(url: str, answer: Answer) -> tuple[bool, str, Sequence[str]]:
    """Whether the credential works, the sentence that says so or why not, and the models."""
    status = answer.status
    words: dict[str, Any] = {"host": httpx.URL(url).host, "status": status, "url": url}
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return (
            False,
            _("%(host)s refused the secret (%(status)d): check it, and rotate it here if it changed.") % words,
            (),
        )
    if status == HTTPStatus.NOT_FOUND:
        return False, _("There is no list of models at %(url)s (404): check the path of the base URL.") % words, ()
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return False, _("%(host)s answered, but is limiting this account now (429): try again later.") % words, ()
    if 300 <= status < 400:
        words["where"] = answer.headers.get("location", "?")[:200]
        return (
            False,
            _("%(host)s redirects to %(where)s; redirects are not followed: use the final base URL.") % words,
            (),
        )
    if status >= 500:
        return False, _("%(host)s has a problem of its own (%(status)d): try again later.") % words, ()
    if status != HTTPStatus.OK:
        return False, _("%(host)s answered %(status)d where a list of models was expected.") % words, ()
    models = _listing(answer.body)
    if models is None:
        return False, _("%(url)s answered, but not with a list of models: check the path of the base URL.") % words, ()
    return True, _("%(host)s accepted the secret and lists %(count)d models.") % {**words, "count": len(models)}, models


def _listing(body: bytes) -> list[str] | None:
    """The names in a listing, in order; None if this is none. OpenAI and Anthropic list ids, Gemini and Cohere names."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    key = "id"
    if isinstance(data, dict):
        key = "id" if "data" in data else "name"
        data = data.get("data") if "data" in data else data.get("models")
    # Some compatible servers answer with the bare list.
    if not isinstance(data, list):
        return None
    names = [entry.get(key) for entry in data if isinstance(entry, dict)]
    plain = [name.removeprefix("models/") for name in names if isinstance(name, str)]
    return list(dict.fromkeys(name for name in plain if model_name_is_valid(name)))
