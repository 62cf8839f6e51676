"""How accounts behave here: closed to strangers, written by our actions, with links and mail of our own."""

from typing import Any
from uuid import UUID

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.core import context as current
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.contrib import messages
from django.core.mail import EmailMessage
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from apps.core.actor import Actor
from apps.core.sealing import Place, SealingError
from apps.core.web import request_address
from apps.orgs.actions import user_password_set
from apps.orgs.models import User
from apps.orgs.people.mail import mail_is_configured, mail_soon
from apps.orgs.people.sessions import NO_ADDRESS

# Secrets of second factors lie in a JSON column without an id of their own before they are saved.
_PLACE = Place(table="mfa_authenticator", row=UUID(int=0), column="data", organization=None)


def person_actor(request: HttpRequest, user: User) -> Actor:
    """`user`, who does something about the own account."""
    return Actor(door="admin", label=user.email, user_id=user.pk, address=request_address(request))


class PeopleAdapter(DefaultAccountAdapter):
    """allauth's hooks, filled in."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": _("This e-mail and this password do not belong together here."),
        "enter_current_password": _("This is not your current password."),
        "incorrect_code": _("This code is not right, or was used already."),
        "incorrect_password": _("This is not your password."),
        "invalid_password_reset": _("This link is not valid any more: ask for another."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002 - allauth's signature
        """Never by allauth, which makes an account before its e-mail is proved: apps.orgs.signup does it the other way round."""
        return False

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Make a proved e-mail the person's own, whole or not at all. False: another account has it by now."""
        try:
            with transaction.atomic():
                confirmed: bool = super().confirm_email(request, email_address)
        except IntegrityError:
            messages.error(request, _("Another account has the e-mail %(email)s.") % {"email": email_address.email})
            return False
        return confirmed

    def set_password(self, user: User, password: str) -> None:
        """Set it as every password is set: with an admin event."""
        changed = user_password_set(user=user, password=password, actor=person_actor(current.request, user))
        user.password = changed.password  # what keeps this very session going is computed from it

    def get_client_ip(self, request: HttpRequest) -> str:
        """Through the proxies that are trusted here."""
        return request_address(request) or NO_ADDRESS

    def get_reset_password_from_key_url(self, key: str) -> str:
        """At the address that people know, whatever Host the request for it named."""
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"})
        return settings.PUBLIC_URL + path.replace("UID-KEY", key)

    def get_email_confirmation_url(self, request: HttpRequest, emailconfirmation: Any) -> str:  # noqa: ARG002 - allauth's signature
        """Likewise."""
        return settings.PUBLIC_URL + reverse("account_confirm_email", args=[emailconfirmation.key])

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:  # noqa: ARG002 - allauth's signature
        """Back to the profile."""
        return reverse("people_profile")

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Render it now and send it soon; without a mail server, nothing is sent."""
        if mail_is_configured():
            mail_soon(self.written_mail(template_prefix, email, context))

    def written_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> EmailMessage:
        """An e-mail as it would be sent."""
        facts = {"request": current.request, "email": email, "public_url": settings.PUBLIC_URL, **context}
        message: EmailMessage = self.render_mail(template_prefix, email, facts)
        return message


class SecondFactorAdapter(DefaultMFAAdapter):
    """Second factors: sealed at rest, named for this application."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": _("This code is not right, or was used already."),
    }

    def encrypt(self, text: str) -> str:
        """Seal with the installation's key."""
        return settings.SEALING_KEYS.seal(text, _PLACE).hex()

    def decrypt(self, encrypted_text: str) -> str:
        """Open; a secret that no key of SEALING_KEYS opens is no secret of ours, and no code fits it."""
        try:
            return settings.SEALING_KEYS.open(bytes.fromhex(encrypted_text), _PLACE)
        except (SealingError, ValueError) as error:
            raise self.validation_error("incorrect_code") from error

    def _get_site_name(self) -> str:
        return "Tollgate"
