"""Where people are signed in, and ending that."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpRequest
from django.utils.timezone import now

from apps.audit.actions import event_record
from apps.core.actor import Actor
from apps.core.web import request_address
from apps.orgs.models import User

NO_ADDRESS = "0.0.0.0"  # noqa: S104 - for sessions that came over a socket without addresses; nothing is bound
_NOTED_EVERY = timedelta(minutes=1)


def session_note(request: HttpRequest, user: User) -> UserSession:
    """List the session that just began, whichever way its user signed in."""
    if request.session.session_key is None:
        request.session.save()
    session, _created = UserSession.objects.update_or_create(
        session_key=request.session.session_key,
        defaults={
            "user": user,
            "ip": request_address(request) or NO_ADDRESS,
            "user_agent": _browser(request),
            "last_seen_at": now(),
        },
    )
    return session


def session_seen(request: HttpRequest) -> None:
    """Keep when and from where the current session was used last, to the minute."""
    moment = now()
    UserSession.objects.filter(session_key=request.session.session_key, last_seen_at__lt=moment - _NOTED_EVERY).update(
        last_seen_at=moment, ip=request_address(request) or NO_ADDRESS, user_agent=_browser(request)
    )


def sessions_of(user: User) -> list[UserSession]:
    """Where the user is signed in right now, the latest used first. Forgets those that have expired."""
    return sorted(UserSession.objects.purge_and_list(user), key=lambda each: each.last_seen_at, reverse=True)


@transaction.atomic
def session_end(*, session: UserSession, actor: Actor) -> None:
    """Sign one browser out."""
    user, facts = session.user, {"address": session.ip, "browser": session.user_agent}
    session.end()
    event_record("session.ended", actor=actor, target=user, organization_id=None, before=facts)


@transaction.atomic
def sessions_end(*, user: User, actor: Actor, except_key: str | None = None) -> int:
    """Sign the user out everywhere, or everywhere but in the session with `except_key`. Returns how many ended."""
    ended = 0
    for session in UserSession.objects.filter(user=user).exclude(session_key=except_key or ""):
        session_end(session=session, actor=actor)
        ended += 1
    return ended


@transaction.atomic
def sessions_forget() -> int:
    """Delete sessions that have expired: those of visitors, whom every page with a form gives one, too. Returns how many."""
    deleted, _by_model = Session.objects.filter(expire_date__lt=now()).delete()
    listed = UserSession.objects.filter(created_at__lt=now() - _NOTED_EVERY)
    listed.exclude(session_key__in=Session.objects.values("session_key")).delete()
    return deleted


_BROWSERS = {"Edg/": "Edge", "OPR/": "Opera", "Firefox/": "Firefox", "Chrome/": "Chrome", "Safari/": "Safari"}
_SYSTEMS = {
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}


def browser_name(user_agent: str) -> tuple[str, str]:
    """A browser and its system, as far as a User-Agent tells; empty where it does not."""
    return _first(_BROWSERS, user_agent), _first(_SYSTEMS, user_agent)


def _first(marks: Mapping[str, str], text: str) -> str:
    return next((name for mark, name in marks.items() if mark in text), "")


def _browser(request: HttpRequest) -> str:
    longest: Any = UserSession._meta.get_field("user_agent").max_length
    return request.headers.get("User-Agent", "")[:longest]
