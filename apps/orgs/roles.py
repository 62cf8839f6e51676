"""What each role may do in its organization: data, which the console, the API, the tests and docs/members.md read."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from apps.orgs.models import Organization, Role


class Permission(StrEnum):
    """One thing that somebody may do, as management keys name it."""

    ORGANIZATION_READ = "organization.read"
    ORGANIZATION_WRITE = "organization.write"
    MEMBERS_READ = "members.read"
    MEMBERS_WRITE = "members.write"  # invitations too
    KEYS_READ = "keys.read"  # management keys
    KEYS_WRITE = "keys.write"
    SERVICES_READ = "services.read"
    SERVICES_WRITE = "services.write"
    TOKENS_READ = "tokens.read"
    TOKENS_WRITE = "tokens.write"
    CREDENTIALS_READ = "credentials.read"  # without secrets, which nobody reads
    CREDENTIALS_WRITE = "credentials.write"
    MODELS_READ = "models.read"  # aliases too
    MODELS_WRITE = "models.write"
    POLICIES_READ = "policies.read"
    POLICIES_WRITE = "policies.write"
    BUDGETS_READ = "budgets.read"  # alerts and webhooks too
    BUDGETS_WRITE = "budgets.write"
    PRICES_READ = "prices.read"
    PRICES_WRITE = "prices.write"
    RECORDS_READ = "records.read"  # without what was asked and answered
    USAGE_READ = "usage.read"
    EVENTS_READ = "events.read"
    CONTENT_READ = "content.read"  # what was asked and answered: no role has it, a membership may


_ALL = frozenset(Permission) - {Permission.CONTENT_READ}
_READ = frozenset(permission for permission in _ALL if permission.endswith(".read"))

PERMISSIONS: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.OWNER: _ALL,
        Role.ADMIN: _ALL - {Permission.ORGANIZATION_WRITE},
        Role.MEMBER: frozenset(
            {
                Permission.ORGANIZATION_READ,
                Permission.MEMBERS_READ,
                Permission.SERVICES_READ,
                Permission.TOKENS_READ,
                Permission.MODELS_READ,
                Permission.POLICIES_READ,
                Permission.BUDGETS_READ,
                Permission.PRICES_READ,
                Permission.USAGE_READ,
            }
        ),
        Role.AUDITOR: _READ,
        Role.BILLING: frozenset(
            {
                Permission.ORGANIZATION_READ,
                Permission.BUDGETS_READ,
                Permission.PRICES_READ,
                Permission.USAGE_READ,
            }
        ),
    }
)
# What an organization may let its members do besides, by the switch that says so.
SWITCHES: Mapping[str, frozenset[Permission]] = MappingProxyType(
    {
        "members_manage_services": frozenset({Permission.SERVICES_WRITE}),
        "members_manage_tokens": frozenset({Permission.TOKENS_WRITE}),
    }
)
# Whose role each may give, take and change. Nobody changes their own.
_GIVES: Mapping[Role, frozenset[Role]] = MappingProxyType(
    {Role.OWNER: frozenset(Role), Role.ADMIN: frozenset(Role) - {Role.OWNER}}
)


def permissions_of(role: Role, organization: Organization, *, reads_content: bool = False) -> frozenset[Permission]:
    """What a member with this role may do there."""
    found = PERMISSIONS[role]
    if role == Role.MEMBER:
        for switch, more in SWITCHES.items():
            if getattr(organization, switch):
                found |= more
    return found | {Permission.CONTENT_READ} if reads_content else found


def may_give(own: Role, other: Role) -> bool:
    """Whether one with the role `own` may make somebody an `other`, or make an `other` something else."""
    return other in _GIVES.get(own, frozenset())
