"""The forms of signing in, where allauth's own do not say or ask what ours must."""

import struct
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.forms import LoginForm, ResetPasswordForm
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from django import forms
from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.core.cache import cache
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from fido2.webauthn import AuthenticationResponse

from apps.orgs.models import User
from apps.orgs.people.mail import mail_is_configured

_REMEMBERED = 120  # seconds: longer than the one code before and the one after are good for


class SignInForm(LoginForm):
    """E-mail and password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = _("E-mail")
        self.fields["login"].widget.attrs |= {"autocomplete": "username", "autofocus": True}
        self.fields["password"].help_text = ""


class ForgottenForm(ResetPasswordForm):
    """The e-mail of whoever has forgotten the password. An address without an account takes as long to answer as any."""

    def save(self, request: HttpRequest, **kwargs: Any) -> str:
        """Send the link; for nobody's address, write the same e-mail and send it to nobody."""
        email: str = super().save(request, **kwargs)
        if not self.users and mail_is_configured():
            adapter, nobody = get_adapter(), User(email=email)
            # By Django's generator, as the library's keeps an address for whom it makes one.
            url = adapter.get_reset_password_from_key_url(f"{nobody.pk}-{default_token_generator.make_token(nobody)}")
            adapter.written_mail("account/email/password_reset_key", email, {"user": nobody, "password_reset_url": url})
        return email


class _OnceMixin:
    """A code of an authenticator app works once, also while it and its neighbours are still good."""

    authenticator: Authenticator
    user: User

    def clean_code(self) -> str:
        """The code. Raises ValidationError if it does not fit or was used."""
        code: str = super().clean_code()  # type: ignore[misc]  # of the form that this is mixed into
        if self.authenticator.type == Authenticator.Type.TOTP:
            digits = "".join(each for each in code if each.isdigit())  # however it was written
            if not cache.add(f"people:totp:{self.user.pk}:{digits}", "used", timeout=_REMEMBERED):
                raise forms.ValidationError(_("This code is not right, or was used already."), code="incorrect_code")
        return code


class SecondFactorForm(_OnceMixin, AuthenticateForm):
    """A code, to finish signing in."""


class ConfirmByCodeForm(_OnceMixin, ReauthenticateForm):
    """A code, to do something that needs the person."""


_NOT_READ = _("The key's answer cannot be read: try again.")
# What the libraries raise, beside their own errors, for an answer that no browser gives.
_ODD = (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError, struct.error)


class _AnswerMixin:
    """The answer of a passkey comes from a browser, so it may be anything."""

    cleaned_data: dict[str, Any]

    def clean_credential(self) -> Authenticator:
        """The passkey. Raises ValidationError."""
        try:
            return self._checked()
        except _ODD as error:
            raise forms.ValidationError(_NOT_READ, code="incorrect_code") from error

    def _checked(self) -> Authenticator:
        found: Authenticator = super().clean_credential()  # type: ignore[misc]  # of the form that this is mixed into
        return found


class PasskeySignInForm(_AnswerMixin, LoginWebAuthnForm):
    """A passkey that stands for the password too, so it must have asked for a fingerprint or a PIN.

    What was asked of it may have been less: in the same browser, as somebody's second factor.
    """

    def _checked(self) -> Authenticator:
        sent = self.cleaned_data["credential"]
        found = super()._checked()
        if not AuthenticationResponse.from_dict(sent).response.authenticator_data.is_user_verified():
            raise forms.ValidationError(_("This key asked for neither a fingerprint nor a PIN: use your password."))
        return found


class PasskeySecondFactorForm(_AnswerMixin, AuthenticateWebAuthnForm):
    """A passkey, to finish signing in."""


class ConfirmByPasskeyForm(_AnswerMixin, ReauthenticateWebAuthnForm):
    """A passkey, to do something that needs the person."""


class PasskeyAddForm(AddWebAuthnForm):
    """A new passkey."""

    def clean(self) -> dict[str, Any]:
        """Its answer, checked. Raises ValidationError."""
        try:
            values: dict[str, Any] = super().clean()
        except _ODD as error:
            raise forms.ValidationError(_NOT_READ, code="incorrect_code") from error
        return values


class ProfileForm(forms.Form):
    """What people say about themselves."""

    name = forms.CharField(
        label=_("Name"),
        max_length=100,
        required=False,
        help_text=_("As others here see you."),
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    language = forms.ChoiceField(label=_("Language"), choices=lambda: settings.LANGUAGES, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if len(settings.LANGUAGES) == 1:
            del self.fields["language"]  # nothing to choose
