"""Setting up an empty installation: once, by whoever can read its code, however many try at the same moment."""

import base64
import hmac
import secrets

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils.text import slugify
from django.utils.translation import gettext as _

from apps.core.actor import Actor
from apps.orgs.actions import organization_create, owner_create
from apps.orgs.models import Organization, User

_LOCK = 0x746F6C6C67617465  # of this one thing, for the whole database
_LETTERS = 16


class SetUpAlreadyError(Exception):
    """The installation has its first user: whoever comes now is too late."""


def setup_code() -> str:
    """What the page asks for: 80 bits out of SECRET_KEY, so that only who runs the installation can say them.

    The same for as long as the key is; it opens nothing once somebody has used it.
    """
    digest = hmac.digest(settings.SECRET_KEY.encode(), b"tollgate setup code", "sha256")
    letters = base64.b32encode(digest).decode()[:_LETTERS]
    return "-".join(letters[at : at + 4] for at in range(0, _LETTERS, 4))


def is_set_up() -> bool:
    """Whether anybody can sign in here."""
    return User.objects.exists()


@transaction.atomic
def installation_set_up(
    *, code: str, organization: str, email: str, name: str, password: str | None, actor: Actor
) -> tuple[Organization, User]:
    """Create the first organization and its owner; without a password, one who comes by single sign-on.

    Raises SetUpAlreadyError, ValidationError. Of two at once one wins, and the other is told.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    if is_set_up():
        raise SetUpAlreadyError
    if not secrets.compare_digest(_bare(code), _bare(setup_code())):
        raise ValidationError(
            {"code": _("This is not the code. `manage.py setup_code`, on the machine of the installation, prints it.")}
        )
    created = Organization.objects.filter(slug=_slug(organization)).first()
    if created is None:
        created = organization_create(name=organization, slug=_slug(organization), actor=actor)
    owner = owner_create(organization=created, email=email, name=name, password=password, actor=actor)
    return created, owner


def _slug(name: str) -> str:
    return slugify(name)[:50] or "main"


def _bare(code: str) -> bytes:
    """However it was typed."""
    return "".join(code.split()).replace("-", "").upper().encode()
