from typing import Any

from django.core.management.base import CommandError

from apps.core.commands import OperatorCommand
from apps.orgs.sso.checks import check_settings
from apps.orgs.sso.configuration import callback_url, is_configured
from apps.orgs.sso.provider import Provider, forget, provider, signing_keys
from apps.orgs.sso.refusals import SsoRefused
from apps.orgs.sso.tokens import ALGORITHMS


class Command(OperatorCommand):
    """Ask the identity provider what a sign-in would."""

    help = (
        "Ask the identity provider for its description and keys, as a sign-in does, and print what to register there."
    )

    def handle(self, **_options: Any) -> None:
        """Refuses where there is no single sign-on, or none that could work."""
        for wrong in check_settings():
            raise CommandError(f"{wrong.msg} {wrong.hint}")
        if not is_configured():
            raise CommandError("There is no single sign-on: set OIDC_ISSUER and OIDC_CLIENT_ID.")
        forget()
        try:
            known = provider()
            usable = _usable_keys(known)
        except SsoRefused as refusal:
            raise CommandError(f"{refusal.detail} ({refusal.reason.code})") from refusal
        for name, value in (
            ("issuer", known.issuer),
            ("redirect URI to register", callback_url()),
            ("people are sent to", known.authorization_endpoint),
            ("codes are exchanged at", known.token_endpoint),
            ("claims are asked of", known.userinfo_endpoint or "the ID token alone"),
            ("keys", f"{usable} at {known.jwks_uri}"),
        ):
            self.stdout.write(f"{name + ':':<26}{value}")
        if not usable:
            raise CommandError("None of the provider's keys is of a kind that is accepted: let it sign with RS256.")


def _usable_keys(known: Provider) -> int:
    return sum(key.get("kty") in ALGORITHMS.values() and key.get("use", "sig") == "sig" for key in signing_keys(known))
