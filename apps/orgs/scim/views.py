"""SCIM 2.0 under /scim/v2: a company's directory says who belongs to an organization, and in which role.

Everything is at the door (apps.core.tenancy), for the one organization that the token is of: accounts are not an organization's,
and one that the directory has switched off belongs to none.
"""

import logging
from collections.abc import Callable
from uuid import UUID

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, ValidationError
from django.db import InterfaceError, OperationalError, models, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from apps.core.actor import Actor
from apps.core.rows import one_sentence
from apps.core.tenancy import at_the_door
from apps.core.web import API, API_FAILED, counted_address, request_address, wait
from apps.orgs.models import Organization, User
from apps.orgs.scim import protocol
from apps.orgs.scim.actions import (
    Account,
    TakenError,
    directory_group_create,
    directory_group_delete,
    directory_group_update,
    directory_take_turns,
    directory_user_create,
    directory_user_delete,
    directory_user_update,
)
from apps.orgs.scim.models import DirectoryGroup
from apps.orgs.scim.protocol import Json, ScimError, answer, body_of, listed
from apps.orgs.scim.resources import group_shown, location, provider_config, resource_types, schemas, users_shown
from apps.orgs.scim.selectors import (
    directory_group_of,
    directory_groups,
    directory_token,
    directory_user,
    directory_users,
)

log = logging.getLogger(__name__)

_READING = ("GET", "HEAD", "OPTIONS")


@method_decorator(csrf_exempt, name="dispatch")  # a token in a header, no cookie: there is nothing to forge
class ScimView(View):
    """What all have in common: the token, the organization, errors in SCIM's form."""

    organization: Organization
    actor: Actor

    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        """All or nothing, for who has a token."""
        try:
            _check(wait(request, API_FAILED, counted_address(request), settings.API_FAILURE_LIMIT, counting=False))
            with at_the_door(), transaction.atomic():
                self._authenticate(request)
                if request.method not in _READING:
                    # Before anything is read: what a change is added to must still be so when it is written.
                    directory_take_turns(self.organization)
                return super().dispatch(request, *args, **kwargs)
        except ScimError as error:
            return error.response()
        except TakenError as error:
            return ScimError(409, str(error), "uniqueness").response()
        except ValidationError as error:
            return ScimError(400, one_sentence(error), "invalidValue").response()
        except RequestDataTooBig:
            return ScimError(413, _("The body is too large.")).response()
        except (OperationalError, InterfaceError):
            log.exception("SCIM: the database cannot be reached")
            again = {"Retry-After": "5"}
            return ScimError(503, _("The database cannot be reached: try again."), headers=again).response()

    def http_method_not_allowed(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:  # noqa: ARG002 - Django's signature
        """In SCIM's form too."""
        raise ScimError(405, _("%(method)s is not for this address.") % {"method": request.method})

    def _authenticate(self, request: HttpRequest) -> None:
        scheme, _space, plaintext = request.headers.get("Authorization", "").partition(" ")
        token = directory_token(plaintext.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            _check(wait(request, API_FAILED, counted_address(request), settings.API_FAILURE_LIMIT))
            raise ScimError(
                401,
                _("This takes a directory token (tg_scim_…), which was not revoked."),
                headers={"WWW-Authenticate": 'Bearer realm="Tollgate"'},
            )
        _check(wait(request, API, f"directory:{token.pk}", settings.API_RATE_LIMIT))
        self.organization = token.organization
        self.actor = Actor(door="api", label=f"{token.name} ({token.masked})", address=request_address(request))

    def user_or_404(self, key: str) -> User:
        """One of the organization's people. Raises ScimError."""
        found = directory_user(self.organization, key)
        if found is None:
            raise ScimError(404, _("There is no user %(id)s.") % {"id": key})
        return found

    def group_or_404(self, key: str) -> DirectoryGroup:
        """One of the organization's groups. Raises ScimError."""
        found = directory_group_of(self.organization, key)
        if found is None:
            raise ScimError(404, _("There is no group %(id)s.") % {"id": key})
        return found

    def user_answer(self, user: User, *, status: int = 200) -> HttpResponse:
        """The user as it is now."""
        [shown] = users_shown(self.organization, [User.objects.get(pk=user.pk)])
        response = answer(shown, status=status)
        response["Location"] = location("Users", user.pk)
        return response

    def group_answer(self, group: DirectoryGroup, *, status: int = 200) -> HttpResponse:
        """The group as it is now."""
        response = answer(group_shown(group), status=status)
        response["Location"] = location("Groups", group.pk)
        return response


class Users(ScimView):
    """All users, and a new one."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """A page, of those that a filter finds."""
        start, count = protocol.page_of(request.GET)
        people = _asked(lambda asked: directory_users(self.organization, asked), request)
        return listed(
            users_shown(self.organization, list(people[start - 1 : start - 1 + count])),
            total=people.count(),
            start=start,
        )

    def post(self, request: HttpRequest) -> HttpResponse:
        """Create one."""
        body = body_of(request.body)
        account = _account(body)
        if not account.email:
            raise ScimError(400, _("userName, or a primary e-mail, is an e-mail address."), "invalidValue")
        made = directory_user_create(organization=self.organization, account=account, actor=self.actor)
        return self.user_answer(made.user, status=201)


class OneUser(ScimView):
    """One user."""

    def get(self, _request: HttpRequest, key: str) -> HttpResponse:
        """As it is."""
        return self.user_answer(self.user_or_404(key))

    def put(self, request: HttpRequest, key: str) -> HttpResponse:
        """All that is kept, anew. What is left out stays, but for `active`, which is true unless it says."""
        account = _account(body_of(request.body))
        if account.active is None:
            account = Account(account.email, account.name, account.external_id, active=True)
        return self._update(key, account)

    def patch(self, request: HttpRequest, key: str) -> HttpResponse:
        """What changed."""
        user = self.user_or_404(key)
        return self._update(key, _patched(user, body_of(request.body)))

    def delete(self, _request: HttpRequest, key: str) -> HttpResponse:
        """Deactivate it and forget what the directory said."""
        directory_user_delete(organization=self.organization, user=self.user_or_404(key), actor=self.actor)
        return HttpResponse(status=204)

    def _update(self, key: str, account: Account) -> HttpResponse:
        user = self.user_or_404(key)
        directory_user_update(organization=self.organization, user=user, account=account, actor=self.actor)
        return self.user_answer(user)


class Groups(ScimView):
    """All groups, and a new one."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """A page, of those that a filter finds."""
        start, count = protocol.page_of(request.GET)
        groups = _asked(lambda asked: directory_groups(self.organization, asked), request)
        with_members = "members" not in request.GET.get("excludedAttributes", "").lower().split(",")
        shown = [group_shown(group, with_members=with_members) for group in groups[start - 1 : start - 1 + count]]
        return listed(shown, total=groups.count(), start=start)

    def post(self, request: HttpRequest) -> HttpResponse:
        """Create one."""
        body = body_of(request.body)
        group = directory_group_create(
            organization=self.organization,
            display_name=_display_name(protocol.get(body, "displayName")),
            external_id=protocol.text(protocol.get(body, "externalId") or "", "externalId"),
            members=_ids(protocol.get(body, "members") or []),
            actor=self.actor,
        )
        return self.group_answer(group, status=201)


class OneGroup(ScimView):
    """One group."""

    def get(self, request: HttpRequest, key: str) -> HttpResponse:
        """As it is."""
        group = self.group_or_404(key)
        excluded = request.GET.get("excludedAttributes", "").lower().split(",")
        return answer(group_shown(group, with_members="members" not in excluded))

    def put(self, request: HttpRequest, key: str) -> HttpResponse:
        """Its name and its members, anew."""
        body = body_of(request.body)
        group = directory_group_update(
            group=self.group_or_404(key),
            display_name=_display_name(protocol.get(body, "displayName")),
            external_id=protocol.text(protocol.get(body, "externalId") or "", "externalId"),
            members=_ids(protocol.get(body, "members") or []),
            actor=self.actor,
        )
        return self.group_answer(group)

    def patch(self, request: HttpRequest, key: str) -> HttpResponse:
        """What changed."""
        group = self.group_or_404(key)
        name: str | None = None
        external_id: str | None = None
        members = before = set(group.members.values_list("pk", flat=True))
        for op, path, value in protocol.operations(body_of(request.body)):
            match path.lower():
                case "displayname":
                    name = _display_name(value)
                case "externalid":
                    external_id = protocol.text(value or "", "externalId")
                case "members":
                    members = _changed_members(members, op, value)
                case _ if (one := protocol.member_in_path(path)) is not None and op == "remove":
                    members = members - _ids([{"value": one}])
                case _ if path.lower().startswith("members"):
                    raise ScimError(400, _("This path is not supported: %(path)s.") % {"path": path}, "invalidPath")
                case _:
                    continue  # the id that Okta repeats, and what is not kept
        updated = directory_group_update(
            group=group,
            display_name=name,
            external_id=external_id,
            members=members if members != before else None,
            actor=self.actor,
        )
        return self.group_answer(updated)

    def delete(self, _request: HttpRequest, key: str) -> HttpResponse:
        """Forget it."""
        directory_group_delete(group=self.group_or_404(key), actor=self.actor)
        return HttpResponse(status=204)


class About(ScimView):
    """What this service provider can do."""

    def get(self, _request: HttpRequest, what: str, key: str = "") -> HttpResponse:
        """The configuration, the types of resources or their schemas: all, or the one that is named."""
        if what == "ServiceProviderConfig":
            return answer(provider_config())
        found = resource_types() if what == "ResourceTypes" else schemas()
        if not key:
            return listed(found, total=len(found), start=1)
        for each in found:
            if each["id"] == key:
                return answer(each)
        raise ScimError(404, _("There is no such thing here."))


@csrf_exempt
def nowhere(_request: HttpRequest) -> HttpResponse:
    """Every other address: not found, to whoever asks."""
    return ScimError(404, _("There is no such resource.")).response()


def _check(seconds: int | None) -> None:
    """Raises ScimError for who has to wait."""
    if seconds is not None:
        message = _("Too many requests: try again in %(seconds)d s.") % {"seconds": seconds}
        raise ScimError(429, message, headers={"Retry-After": str(seconds)})


def _asked[R: models.Model](
    find: Callable[[tuple[str, str] | None], "QuerySet[R]"], request: HttpRequest
) -> "QuerySet[R]":
    asked = protocol.parsed_filter(request.GET.get("filter", ""))
    try:
        return find(asked)
    except LookupError as error:
        raise ScimError(400, _("Nothing can be found by %(name)s.") % {"name": error}, "invalidFilter") from error


def _account(body: Json) -> Account:
    """What a whole user says. The userName is the e-mail; where it is none, the primary e-mail is."""
    user_name = protocol.get(body, "userName")
    email = user_name if isinstance(user_name, str) and "@" in user_name else protocol.email_in(body)
    external_id, active = protocol.get(body, "externalId"), protocol.get(body, "active")
    return Account(
        email=None if email is None else protocol.text(email, "userName"),
        name=protocol.name_in(body),
        external_id=None if external_id is None else protocol.text(external_id, "externalId"),
        active=None if active is None else protocol.boolean(active),
    )


def _patched(user: User, body: Json) -> Account:
    """What a PATCH says. Attributes that are not kept are passed over: directories send all that they have."""
    said: Json = {}
    parts: dict[str, str] = {}
    for op, path, value in protocol.operations(body):
        name = path.lower()
        removed = op == "remove"
        if name == "active":
            said["active"] = False if removed else value
        elif name == "externalid":
            said["externalId"] = "" if removed else value
        elif name == "username" and not removed:
            said["userName"] = value
        elif protocol.is_email_path(path) and not removed:
            said["emails"] = value if isinstance(value, list) else [{"value": value, "primary": True}]
        elif name in {"displayname", "name.formatted"} and not removed:
            said["displayName"] = value
        elif name == "name" and isinstance(value, dict):
            said.setdefault("displayName", protocol.name_in({"name": value}))
        elif name in {"name.givenname", "name.familyname"} and not removed:
            parts[name] = protocol.text(value, path)
    if parts and "displayName" not in said:
        # Only one of the two may be sent: the other is what the name has now.
        given, _space, family = user.name.partition(" ")
        whole = (parts.get("name.givenname", given), parts.get("name.familyname", family))
        said["displayName"] = " ".join(part for part in whole if part)
    return _account(said)


def _display_name(value: object) -> str:
    name = protocol.text(value, "displayName") if isinstance(value, str) else ""
    if not name:
        raise ScimError(400, _("A group has a displayName."), "invalidValue")
    return name


def _changed_members(members: set[UUID], op: str, value: object) -> set[UUID]:
    if op == "replace":
        return _ids(value or [])
    if op == "add":
        return members | _ids(value)
    return set() if value is None else members - _ids(value)  # without a value: all


def _ids(value: object) -> set[UUID]:
    """The ids of members, as a list of objects with `value`, or one such object."""
    entries = value if isinstance(value, list) else [value]
    found = set()
    for entry in entries:
        try:
            found.add(UUID(str(protocol.get(entry, "value"))))
        except ValueError:
            raise ScimError(400, _("A member is told by the id of a user."), "invalidValue") from None
    return found
