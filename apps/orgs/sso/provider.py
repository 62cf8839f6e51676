"""What the identity provider says of itself: its endpoints and its keys, fetched, checked and remembered.

Both are kept in Valkey. What is younger than FRESH is taken as it is; what is older is fetched again, and goes on being used, for
up to a day, while the provider does not answer. Without Valkey everything is fetched each time.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import redis
from django.conf import settings
from django.core.cache import cache

from apps.orgs.sso.fetching import fetch
from apps.orgs.sso.refusals import BAD_DISCOVERY, SsoRefused

log = logging.getLogger(__name__)

WELL_KNOWN = "/.well-known/openid-configuration"
FRESH = 300  # seconds
STALE = 86_400  # seconds
RETRY = 30  # seconds after which a provider that did not answer is asked again

type Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Provider:
    """The identity provider, as its discovery document describes it and OIDC_ISSUER vouches."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    token_auth_methods: Sequence[str]
    names_itself: bool  # every answer to the browser carries `iss` (RFC 9207)


def provider() -> Provider:
    """The provider behind OIDC_ISSUER. Raises SsoRefused."""
    issuer = str(settings.OIDC_ISSUER)
    return _parsed(_remembered(f"about:{issuer}", lambda: _discovered(issuer)), issuer)


def signing_keys(of: Provider, *, anew: bool = False) -> Sequence[Mapping[str, Any]]:
    """The keys at the provider's `jwks_uri`, as they are written there. Raises SsoRefused."""
    document = _remembered(f"keys:{of.jwks_uri}", lambda: fetch(of.jwks_uri).document(), anew=anew)
    keys = document.get("keys")
    if not isinstance(keys, list):
        raise SsoRefused(BAD_DISCOVERY, f"there are no keys at {of.jwks_uri}")
    return [key for key in keys if isinstance(key, dict)]


def forget() -> None:
    """Fetch everything anew at the next sign-in."""
    issuer = str(settings.OIDC_ISSUER)
    kept = _kept(f"about:{issuer}")
    names = [f"about:{issuer}"]
    if kept is not None:
        names.append(f"keys:{kept[1].get('jwks_uri')}")
    try:
        cache.delete_many([_key(name) for name in names])
    except redis.RedisError:
        log.warning("single sign-on: Valkey cannot be reached")


def _discovered(issuer: str) -> Document:
    document = fetch(issuer.rstrip("/") + WELL_KNOWN).document()
    _parsed(document, issuer)  # what is no discovery document does not replace one that is
    return document


def _parsed(document: Mapping[str, Any], issuer: str) -> Provider:
    named = document.get("issuer")
    # A slash at the end is forgiven: the same host is asked either way, and tokens are held against the provider's spelling.
    if not isinstance(named, str) or named.rstrip("/") != issuer.rstrip("/"):
        raise SsoRefused(BAD_DISCOVERY, f"it calls itself {str(named)[:100]!r}, and OIDC_ISSUER is {issuer!r}")
    methods = document.get("token_endpoint_auth_methods_supported")
    return Provider(
        issuer=named,
        authorization_endpoint=_endpoint(document, "authorization_endpoint", issuer),
        token_endpoint=_endpoint(document, "token_endpoint", issuer),
        jwks_uri=_endpoint(document, "jwks_uri", issuer),
        userinfo_endpoint=(
            _endpoint(document, "userinfo_endpoint", issuer) if document.get("userinfo_endpoint") else None
        ),
        token_auth_methods=tuple(methods) if isinstance(methods, list) else ("client_secret_basic",),
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _endpoint(document: Mapping[str, Any], name: str, issuer: str) -> str:
    """An endpoint, over https unless the issuer itself is not."""
    url = document.get(name)
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        usable = bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.scheme not in {"https", urlsplit(issuer).scheme}:
        raise SsoRefused(BAD_DISCOVERY, f"its {name} cannot be used: {str(url)[:100]!r}")
    return str(url)


def _remembered(name: str, load: Callable[[], Document], *, anew: bool = False) -> Document:
    kept = _kept(name)
    if kept is not None and not anew and time.time() - kept[0] < FRESH:
        return kept[1]
    try:
        document = load()
    except SsoRefused as refusal:
        if kept is None or anew:
            raise
        log.warning("single sign-on goes on with what it remembers: %s", refusal)
        _keep(name, time.time() - FRESH + RETRY, kept[1])
        return kept[1]
    _keep(name, time.time(), document)
    return document


def _kept(name: str) -> tuple[float, Document] | None:
    try:
        kept: tuple[float, Document] | None = cache.get(_key(name))
    except redis.RedisError:
        log.warning("single sign-on remembers nothing: Valkey cannot be reached")
        return None
    return kept


def _keep(name: str, at: float, document: Document) -> None:
    try:
        cache.set(_key(name), (at, document), STALE)
    except redis.RedisError:
        pass  # said by `_kept`


def _key(name: str) -> str:
    return f"sso:{hashlib.sha256(name.encode()).hexdigest()}"
