"""Links that make an account: sent to an address, so that whoever follows one has shown that it is theirs.

Nothing is stored for them. Who has an account cannot make another, so that a link makes one at most.
"""

from datetime import timedelta
from urllib.parse import urlencode

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.core import signing
from django.urls import reverse

from apps.orgs.selectors import user_by_email

LIFETIME = timedelta(days=1)
_SALT = "tollgate.sign-up"


def sign_up_path(email: str) -> str:
    """The path of a link for `email`."""
    return reverse("sign_up_finish", args=[signing.dumps(email, salt=_SALT)])


def sign_up_email(signed: str) -> str | None:
    """For which e-mail a link is; None: this installation did not make it, or it is too old."""
    try:
        return str(signing.loads(signed, salt=_SALT, max_age=LIFETIME))
    except signing.BadSignature:
        return None


def sign_up_mail(email: str) -> None:
    """Send a link; or to who has an account already, that they have. Either way one e-mail, and the page says the same."""
    if user_by_email(email) is None:
        template, path = "account/email/sign_up", sign_up_path(email)
    else:
        path = f"{reverse('account_login')}?{urlencode({'next': reverse('organizations')})}"
        template = "account/email/account_exists"
    get_adapter().send_mail(template, email, {"link": settings.PUBLIC_URL + path})
