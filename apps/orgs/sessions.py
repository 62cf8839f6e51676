"""Ending somebody's sessions, all of them and at once."""

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.utils.timezone import now

from apps.orgs.models import User


def sessions_end_all(*, user: User) -> int:
    """Sign `user` out everywhere. Returns how many sessions there were. Call it at the door, in the change's transaction."""
    mine = [
        session.pk
        for session in Session.objects.filter(expire_date__gt=now()).iterator(chunk_size=500)
        if session.get_decoded().get(SESSION_KEY) == str(user.pk)
    ]
    Session.objects.filter(pk__in=mine).delete()
    return len(mine)
