"""What signing in leaves among the admin events: who got in and how, who did not, which factors came and went."""

from typing import Any

from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.models import EmailAddress
from allauth.account.signals import email_changed, email_confirmed
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import (
    authentication_failed,
    authenticator_added,
    authenticator_removed,
    authenticator_reset,
)
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest

from apps.audit.actions import event_record
from apps.core.actor import Actor
from apps.core.tenancy import at_the_door
from apps.core.web import request_address
from apps.orgs.models import SignInLink, User
from apps.orgs.people.adapter import person_actor
from apps.orgs.people.sessions import session_note
from apps.orgs.selectors import user_by_email


def note(action: str, request: HttpRequest, user: User, **after: Any) -> None:
    """An event about `user`, by `user`. It belongs to no organization: people belong to themselves."""
    with at_the_door():
        event_record(action, actor=person_actor(request, user), target=user, organization_id=None, after=after or None)


@receiver(user_logged_in)
def _signed_in(request: HttpRequest, user: User, **_rest: Any) -> None:
    with at_the_door():
        session_note(request, user)
    methods = [record.get("type") or record["method"] for record in get_authentication_records(request, user)]
    note("user.signed_in", request, user, by=methods or _backend_name(user))


@receiver(user_logged_out)
def _signed_out(request: HttpRequest, user: User | None, **_rest: Any) -> None:
    if user is not None:
        note("user.signed_out", request, user)


@receiver(user_login_failed)
def _refused(credentials: dict[str, Any], request: HttpRequest | None = None, **_rest: Any) -> None:
    """By e-mail and password. Whose account it was is known to the operators alone; the page says the same for all."""
    email = str(credentials.get("email") or credentials.get("username") or "")[:254].lower()
    with at_the_door():
        user = user_by_email(email)
        event_record(
            "user.sign_in_failed",
            actor=Actor(door="admin", label=email, address=request_address(request) if request else None),
            target=user or User(id=None, email=email),
            organization_id=None,
            after={"account": user is not None},
        )


@receiver(authentication_failed)
def _second_factor_refused(request: HttpRequest, user: User, authenticator: Authenticator, **_rest: Any) -> None:
    note("user.second_factor_failed", request, user, factor=authenticator.type)


@receiver(authenticator_added)
def _second_factor_added(request: HttpRequest, user: User, authenticator: Authenticator, **_rest: Any) -> None:
    note("user.second_factor_added", request, user, factor=authenticator.type, name=str(authenticator))


@receiver(authenticator_reset)
def _recovery_codes_renewed(request: HttpRequest, user: User, authenticator: Authenticator, **_rest: Any) -> None:
    note("user.recovery_codes_renewed", request, user, factor=authenticator.type)


@receiver(authenticator_removed)
def _second_factor_removed(request: HttpRequest, user: User, authenticator: Authenticator, **_rest: Any) -> None:
    note("user.second_factor_removed", request, user, factor=authenticator.type, name=str(authenticator))


@receiver(email_confirmed)
def _email_proved(request: HttpRequest, email_address: EmailAddress, **_rest: Any) -> None:
    note("user.email_verified", request, email_address.user, email=email_address.email)


@receiver(email_changed)
def _email_changed(
    request: HttpRequest,
    user: User,
    from_email_address: EmailAddress | None,
    to_email_address: EmailAddress,
    **_rest: Any,
) -> None:
    """By its owner, who has proved the new one. Links that were issued for the old one die."""
    with at_the_door():
        SignInLink.objects.filter(user=user, used_at=None).delete()
        event_record(
            "user.updated",
            actor=person_actor(request, user),
            target=user,
            organization_id=None,
            before={"email": from_email_address.email if from_email_address else None},
            after={"email": to_email_address.email},
        )


def _backend_name(user: User) -> list[str]:
    """How a sign-in that is none of allauth's came about."""
    return [str(getattr(user, "backend", "")).rpartition(".")[2] or "session"]
