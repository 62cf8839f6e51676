"""What is said of providers that fail, and what an operator can do."""

from datetime import UTC, datetime

from django.utils.translation import gettext as _

from apps.providers.health.shared import Shut

EGRESS = "egress_refused"  # apps.core.errors.EgressBlocked


def refusal_remedy(status: int, model: str) -> str:
    """What can be done about a refusal with this status. `model`: empty if all are refused."""
    if status == 402:
        return _("The account has no credit left, or its bill is unpaid: settle it with the provider.")
    if status == 403 and model:
        return _(
            "The account may not use this model: ask the provider for access, or take the model off this credential."
        )
    if status == 403:
        return _("The account may not do this: check its permissions with the provider.")
    return _("The key is wrong, revoked or expired: make a new one with the provider and rotate the secret.")


def circuit_state(shut: Shut, at: float) -> str:
    """What becomes of calls, at that time (Unix seconds)."""
    until = datetime.fromtimestamp(shut.until, UTC)
    if shut.reason == "limited":
        return _("asked last until %(until)s UTC, as the provider wants") % {"until": f"{until:%H:%M:%S}"}
    if at < shut.until:
        return _("asked last until %(until)s UTC; then one call finds out whether it has recovered") % {
            "until": f"{until:%H:%M:%S}"
        }
    return _("asked last, until one call has found out whether it has recovered")


def circuit_reason(shut: Shut) -> str:
    """Why."""
    reasons = {
        "failing": _("it kept failing (last: %(code)s)"),
        "limited": _("it takes no more for now (%(code)s)"),
        "refused": _("it refuses (%(code)s)"),
    }
    return reasons[shut.reason] % {"code": shut.code or "?"}


def circuit_remedy(shut: Shut) -> str:
    """What an operator can do."""
    if shut.code == EGRESS:
        return _(
            "Its base URL leads to an address that may not be called: correct it, or allow the range (EGRESS_ALLOW)."
        )
    if shut.reason == "refused":
        return _("See above what it refuses with; calls are tried again once the secret is replaced.")
    if shut.reason == "limited":
        return _("Ask the provider for a higher limit, or add a second credential and share the calls out by weight.")
    return _(
        "See the provider's status page, and test the credential; a second provider for the model bridges such times."
    )
