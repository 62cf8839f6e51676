"""The tenancy that the setting TENANCY chooses."""

from functools import lru_cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from apps.orgs.models import Organization
from apps.orgs.tenancy.port import Multi, Single, Tenancy

_NAMED: dict[str, type[Tenancy]] = {"single": Single, "multi": Multi}


def tenancy() -> Tenancy:
    """Who answers for this installation. Raises ImproperlyConfigured."""
    return _tenancy(settings.TENANCY)


@lru_cache
def _tenancy(name: str) -> Tenancy:
    chosen = _NAMED.get(name)
    if chosen is None:
        try:
            chosen = import_string(name)
        except ImportError as error:
            raise ImproperlyConfigured(
                f"TENANCY: {name!r} is neither single nor multi, nor a class that can be imported: {error}"
            ) from error
    if not (isinstance(chosen, type) and issubclass(chosen, Tenancy)):
        raise ImproperlyConfigured(f"TENANCY: {name!r} is no subclass of apps.orgs.tenancy.port.Tenancy")
    return chosen()


def check_room(organization: Organization, most: str, count: int) -> None:
    """Raises ValidationError where the organization has `count` already and is entitled to no more.

    `most`: a field of Entitlements.
    """
    allowed = getattr(tenancy().entitlements(organization), most)
    if allowed is not None and count >= allowed:
        what = {"services_most": _("services"), "members_most": _("members")}[most]
        raise ValidationError(
            _("%(organization)s may have %(most)d %(what)s, and has as many: ask those who run the installation.")
            % {"organization": organization, "most": allowed, "what": what}
        )
