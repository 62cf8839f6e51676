"""The forms of signing in, where allauth's own do not say or ask what ours must."""

from typing import Any

from allauth.account.forms import LoginForm
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator
from django import forms
from django.conf import settings
from django.core.cache import cache
from django.utils.translation import gettext_lazy as _

from apps.orgs.models import User

_REMEMBERED = 120  # seconds: longer than the one code before and the one after are good for


class SignInForm(LoginForm):
    """E-mail and password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = _("E-mail")
        self.fields["login"].widget.attrs |= {"autocomplete": "username", "autofocus": True}
        self.fields["password"].help_text = ""


class _OnceMixin:
    """A code of an authenticator app works once, also while it and its neighbours are still good."""

    authenticator: Authenticator
    user: User

    def clean_code(self) -> str:
        """The code. Raises ValidationError if it does not fit or was used."""
        code: str = super().clean_code()  # type: ignore[misc]  # of the form that this is mixed into
        if self.authenticator.type == Authenticator.Type.TOTP:
            digits = "".join(code.split())
            if not cache.add(f"people:totp:{self.user.pk}:{digits}", "used", timeout=_REMEMBERED):
                raise forms.ValidationError(_("This code is not right, or was used already."), code="incorrect_code")
        return code


class SecondFactorForm(_OnceMixin, AuthenticateForm):
    """A code, to finish signing in."""


class ConfirmByCodeForm(_OnceMixin, ReauthenticateForm):
    """A code, to do something that needs the person."""


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
