"""What is told of a user and of a group, and of what this service provider can do."""

from typing import Any
from uuid import UUID

from django.conf import settings

from apps.orgs.models import Membership, Organization, User
from apps.orgs.scim.models import DirectoryGroup, DirectoryGroupMember, DirectoryUser
from apps.orgs.scim.protocol import GROUP, PAGE_MOST, USER, Json

BASE = "/scim/v2"
_CONFIG = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
_TYPE = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Schema"
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"


def location(kind: str, key: object) -> str:
    """A resource's address."""
    return f"{settings.PUBLIC_URL}{BASE}/{kind}/{key}"


def users_shown(organization: Organization, users: list[User]) -> list[Json]:
    """Users as SCIM has them, with three queries however many they are."""
    keys = [user.pk for user in users]
    known = {row.user_id: row for row in DirectoryUser.objects.filter(organization=organization, user__in=keys)}
    roles = dict(Membership.objects.filter(organization=organization, user__in=keys).values_list("user_id", "role"))
    groups: dict[UUID, list[DirectoryGroup]] = {}
    rows = DirectoryGroupMember.objects.filter(organization=organization, user__in=keys).select_related("group")
    for row in rows.order_by("group__display_name"):
        groups.setdefault(row.user_id, []).append(row.group)
    return [_user(user, known.get(user.pk), roles.get(user.pk), groups.get(user.pk, [])) for user in users]


def _user(user: User, known: DirectoryUser | None, role: str | None, groups: list[DirectoryGroup]) -> Json:
    created = known.created_at if known is not None else user.created_at
    changed = known.updated_at if known is not None else user.created_at
    return {
        "schemas": [USER],
        "id": str(user.pk),
        **({"externalId": known.external_id} if known is not None and known.external_id else {}),
        "userName": user.email,
        "displayName": user.name or user.email,
        "name": {"formatted": user.name},
        "emails": [{"value": user.email, "type": "work", "primary": True}],
        "active": role is not None and user.is_active,
        "roles": [] if role is None else [{"value": role, "primary": True}],
        "groups": [
            {"value": str(group.pk), "display": group.display_name, "$ref": location("Groups", group.pk)}
            for group in groups
        ],
        "meta": {
            "resourceType": "User",
            "created": created.strftime(_MOMENT),
            "lastModified": changed.strftime(_MOMENT),
            "location": location("Users", user.pk),
        },
    }


def group_shown(group: DirectoryGroup, *, with_members: bool = True) -> Json:
    """A group as SCIM has it."""
    members = group.members.order_by("email") if with_members else ()
    return {
        "schemas": [GROUP],
        "id": str(group.pk),
        **({"externalId": group.external_id} if group.external_id else {}),
        "displayName": group.display_name,
        **(
            {
                "members": [
                    {"value": str(user.pk), "display": user.email, "$ref": location("Users", user.pk), "type": "User"}
                    for user in members
                ]
            }
            if with_members
            else {}
        ),
        "meta": {
            "resourceType": "Group",
            "created": group.created_at.strftime(_MOMENT),
            "lastModified": group.updated_at.strftime(_MOMENT),
            "location": location("Groups", group.pk),
        },
    }


def provider_config() -> Json:
    """What of SCIM is here."""
    return {
        "schemas": [_CONFIG],
        "documentationUri": settings.PUBLIC_URL,
        "patch": {"supported": True},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": True, "maxResults": PAGE_MOST},
        "changePassword": {"supported": False},
        "sort": {"supported": False},
        "etag": {"supported": False},
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Bearer token",
                "description": "A directory token of the organization's, in the Authorization header.",
                "primary": True,
            }
        ],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": f"{settings.PUBLIC_URL}{BASE}/ServiceProviderConfig",
        },
    }


def resource_types() -> list[Json]:
    """Users and groups."""
    return [
        {
            "schemas": [_TYPE],
            "id": name,
            "name": name,
            "endpoint": f"/{name}s",
            "schema": schema,
            "meta": {"resourceType": "ResourceType", "location": location("ResourceTypes", name)},
        }
        for name, schema in (("User", USER), ("Group", GROUP))
    ]


def schemas() -> list[Json]:
    """The attributes that are kept; others are taken and forgotten."""
    user = [
        _attribute("userName", required=True, uniqueness="server"),
        _attribute("displayName"),
        _attribute(
            "name", kind="complex", parts=[_attribute(part) for part in ("formatted", "givenName", "familyName")]
        ),
        _attribute(
            "emails", kind="complex", many=True, parts=[_attribute("value"), _attribute("primary", kind="boolean")]
        ),
        _attribute("active", kind="boolean"),
        _attribute("roles", kind="complex", many=True, mutability="readOnly", parts=[_attribute("value")]),
        _attribute("groups", kind="complex", many=True, mutability="readOnly", parts=[_attribute("value")]),
    ]
    group = [
        _attribute("displayName", required=True, uniqueness="server"),
        _attribute("members", kind="complex", many=True, parts=[_attribute("value")]),
    ]
    return [
        {
            "schemas": [_SCHEMA],
            "id": schema,
            "name": name,
            "description": words,
            "attributes": attributes,
            "meta": {"resourceType": "Schema", "location": location("Schemas", schema)},
        }
        for schema, name, words, attributes in (
            (USER, "User", "One of the organization's people", user),
            (GROUP, "Group", "A group, which may give its members a role", group),
        )
    ]


def _attribute(
    name: str,
    *,
    kind: str = "string",
    many: bool = False,
    required: bool = False,
    mutability: str = "readWrite",
    uniqueness: str = "none",
    parts: list[Any] | None = None,
) -> Json:
    found: Json = {
        "name": name,
        "type": kind,
        "multiValued": many,
        "required": required,
        "caseExact": False,
        "mutability": mutability,
        "returned": "default",
        "uniqueness": uniqueness,
    }
    return found if parts is None else {**found, "subAttributes": parts}
