"""Whether people may sign in with an e-mail and a password here, and the backend that checks them."""

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

PASSWORD_BACKEND = "apps.orgs.people.passwords.PasswordBackend"  # noqa: S105 - a class, by whose name sessions begin


def passwords_are_allowed() -> bool:
    """False where EMAIL_AUTH_DISABLED leaves single sign-on and operators' links alone."""
    return not settings.EMAIL_AUTH_DISABLED


class PasswordBackend(AuthenticationBackend):
    """E-mail and password, unless they are turned off here, whichever door asks."""

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> AbstractBaseUser | None:
        """Whose e-mail and password these are."""
        return super().authenticate(request, **credentials) if passwords_are_allowed() else None
