"""Turns the code that a browser brings back from the provider into a user: the library's flow with our checks in it."""

from base64 import b64encode
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote_plus

import orjson
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest
from mozilla_django_oidc.auth import OIDCAuthenticationBackend

from apps.core.web import request_address
from apps.orgs.models import User
from apps.orgs.sso.actions import identity_sign_in
from apps.orgs.sso.claims import Person, joined, person_of
from apps.orgs.sso.configuration import callback_url, is_configured
from apps.orgs.sso.fetching import Answer, fetch
from apps.orgs.sso.provider import Provider, provider
from apps.orgs.sso.refusals import BAD_ANSWER, PROVIDER_REFUSED, UNREACHABLE, SsoRefused
from apps.orgs.sso.tokens import id_token_claims


class SingleSignOn(OIDCAuthenticationBackend):  # type: ignore[misc] # the library has no types
    """An authentication backend. Whatever goes wrong raises SsoRefused: nothing here answers None for a failure."""

    def __init__(self) -> None:
        # Not the library's, which reads the provider's endpoints: backends are made at every request of a session.
        self.UserModel = get_user_model()

    # Other credentials than these do not fit, so that Django passes us by with passwords.
    def authenticate(self, request: HttpRequest, *, nonce: str, code_verifier: str) -> User | None:
        """The user behind `?code=`. Raises SsoRefused."""
        if not is_configured():
            return None
        person = self.person(request.GET.get("code", ""), nonce=nonce, code_verifier=code_verifier)
        return identity_sign_in(person=person, address=request_address(request))

    def get_user(self, user_id: Any) -> User | None:
        """The user of a session, as long as the user is switched on."""
        return ModelBackend.get_user(self, user_id)

    def person(self, code: str, *, nonce: str, code_verifier: str) -> Person:
        """Whom the provider vouches for. Raises SsoRefused."""
        known = provider()
        answer = self.get_token({"code": code, "code_verifier": code_verifier})
        claims = id_token_claims(
            answer.get("id_token"), issued_by=known, client_id=settings.OIDC_CLIENT_ID, nonce=nonce
        )
        if self._asks_for_more(claims, known):
            more = self.get_userinfo(answer.get("access_token"), answer.get("id_token"), claims)
            claims = joined(claims, more)
        return person_of(claims, issuer=known.issuer)

    def get_token(self, payload: Mapping[str, str]) -> dict[str, Any]:
        """What the token endpoint gives for the code. Raises SsoRefused."""
        known = provider()
        form = {
            "grant_type": "authorization_code",
            "redirect_uri": callback_url(),
            "client_id": settings.OIDC_CLIENT_ID,
            **payload,
        }
        headers = {}
        secret = settings.OIDC_CLIENT_SECRET
        if secret and "client_secret_basic" in known.token_auth_methods:
            pair = (
                f"{quote_plus(settings.OIDC_CLIENT_ID)}:{quote_plus(secret)}"  # as RFC 6749 writes them, section 2.3.1
            )
            headers["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        elif secret:
            form["client_secret"] = secret
        answer = fetch(known.token_endpoint, form=form, headers=headers)
        if answer.status != HTTPStatus.OK:
            raise _refused(answer)
        return answer.document()

    def get_userinfo(self, access_token: object, _id_token: object, _payload: object) -> dict[str, Any]:
        """What the userinfo endpoint says. Raises SsoRefused."""
        known = provider()
        usable = isinstance(access_token, str) and access_token.isascii() and access_token.isprintable()
        if known.userinfo_endpoint is None or not usable:
            raise SsoRefused(BAD_ANSWER, "there is no usable access token for the userinfo endpoint")
        answer = fetch(known.userinfo_endpoint, headers={"authorization": f"Bearer {access_token}"})
        if answer.status != HTTPStatus.OK:
            raise _refused(answer)
        return answer.document()

    def _asks_for_more(self, claims: Mapping[str, Any], known: Provider) -> bool:
        """Some providers put nothing but the subject into the token, and tell the rest elsewhere."""
        wanted = {"email", "name", *([settings.OIDC_GROUPS_CLAIM] if settings.OIDC_GROUP_ROLES else [])}
        return known.userinfo_endpoint is not None and not wanted <= claims.keys()


def _refused(answer: Answer) -> SsoRefused:
    """What the provider said, as far as OAuth gives it words: never its whole answer, which may hold a token."""
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return SsoRefused(UNREACHABLE, f"{answer.url} answered {answer.status}")
    try:
        said = orjson.loads(answer.body)
        error = said.get("error") if isinstance(said, dict) else None
    except orjson.JSONDecodeError:
        error = None
    return SsoRefused(PROVIDER_REFUSED, f"{answer.url} answered {answer.status} ({str(error)[:60]})")
