"""The console's pages about organizations and people."""

from collections.abc import Collection, Mapping
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.console import ConsoleAdmin, may, request_actor
from apps.core.rowactions import row_action
from apps.core.theme import ActionVariant, AutocompleteSelectFilter, action, display
from apps.orgs.actions import (
    member_add,
    member_remove,
    member_update,
    organization_create,
    organization_entitle,
    organization_resume,
    organization_suspend,
    organization_update,
    sign_in_link_issue,
    user_create,
    user_password_set,
    user_update,
)
from apps.orgs.forms import MembershipForm, OrganizationForm, PasswordForm, UserAddForm
from apps.orgs.models import Membership, Organization, Role, User
from apps.orgs.signup.actions import sign_up_domains_set

admin.site.unregister(Group)  # roles come with memberships


@admin.register(Organization)
class OrganizationAdmin(ConsoleAdmin):
    """Organizations: add, rename, suspend, say who may join by themselves."""

    permission_read = "organization.read"
    permission_write = "organization.write"
    organization_lookup = "pk"
    list_display = ("name", "slug", "timezone", "state", "created_at")
    search_fields = ("name", "slug")
    form = OrganizationForm
    fields = (
        "name",
        "slug",
        "timezone",
        "members_manage_services",
        "members_manage_tokens",
        "require_second_factor",
        "sign_up_domains",
        "sign_up_role",
        "hosted_credentials",
    )
    actions_detail = ("limits", "suspend", "resume")

    @display(
        description=gettext_lazy("state"), label={"active": "success", "suspended": "danger"}, ordering="suspended_at"
    )
    def state(self, organization: Organization) -> tuple[str, str]:
        """Whether its tokens are accepted."""
        return ("suspended", _("suspended")) if organization.suspended_at else ("active", _("active"))

    @display(description=gettext_lazy("sign-up domains"))
    def sign_up_domains(self, organization: Organization) -> str:
        """For who may only look."""
        return ", ".join(organization.sign_up_domain_names) or "—"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Platform staff alone."""
        return may(request, "")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """What an organization is entitled to is not for itself to say."""
        return () if may(request, "") else ("hosted_credentials",)

    def perform_add(self, request: HttpRequest, values: Mapping[str, Any]) -> Organization:
        """Add an organization."""
        first = {name: values[name] for name in ("name", "slug", "timezone")}
        with transaction.atomic():
            row = organization_create(**first, actor=request_actor(request))
            others = {name: values[name] for name in values if name not in first}
            return self.perform_change(request, row, others)

    def perform_change(self, request: HttpRequest, row: Any, changes: Mapping[str, Any]) -> Organization:
        """Change its name, slug or time zone, what its members may, who joins by themselves, or what it is entitled to."""
        actor = request_actor(request)
        apart = ("hosted_credentials", "sign_up_domains")
        settings_ = {name: value for name, value in changes.items() if name not in apart}
        with transaction.atomic():
            if "sign_up_domains" in changes:
                sign_up_domains_set(organization=row, domains=changes["sign_up_domains"].split(), actor=actor)
            if "hosted_credentials" in changes:
                organization_entitle(organization=row, hosted_credentials=changes["hosted_credentials"], actor=actor)
            return organization_update(organization=row, actor=actor, **settings_)

    def hidden_buttons(self, row: Any) -> Collection[str]:
        """By its state."""
        return {"suspend" if row.suspended_at else "resume"}

    @action(description=gettext_lazy("What limits it"), url_path="limits", icon="speed", takes="limits")
    def limits(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """On to what limits its tokens, together and one by one."""
        self.row_or_404(request, object_id)
        return HttpResponseRedirect(reverse("admin:policies_policy_limits_here", args=("organization", object_id)))

    suspend = row_action(
        "suspend",
        gettext_lazy("Suspend"),
        icon="pause_circle",
        danger=True,
        takes="staff",
        does=lambda row, actor: organization_suspend(organization=row, actor=actor),
        title=gettext_lazy("Suspend %(name)s"),
        sentence=gettext_lazy(
            "All its tokens are refused from the next moment on, until you resume it. Nothing is deleted."
        ),
        done=gettext_lazy("%(name)s is suspended."),
    )

    resume = row_action(
        "resume",
        gettext_lazy("Resume"),
        icon="play_circle",
        takes="staff",
        does=lambda row, actor: organization_resume(organization=row, actor=actor),
        title=gettext_lazy("Resume %(name)s"),
        sentence=gettext_lazy("Its tokens that are neither revoked nor expired are accepted again."),
        done=gettext_lazy("%(name)s is active again."),
    )


@admin.register(User)
class UserAdmin(ConsoleAdmin):
    """People: add, rename, switch off, hand out a sign-in link, set a password."""

    list_display = ("email", "name", "belongs", "state", "last_login")
    list_filter = ("is_active",)
    search_fields = ("email", "name")
    fields = ("email", "name", "is_active", "is_superuser", "last_login", "created_at")
    readonly_fields = ("last_login", "created_at")
    add_fieldsets = ((None, {"fields": ("email", "name", "organization", "role", "password")}),)
    actions_detail = ("sign_in_link", "set_password")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """With the memberships that the list shows."""
        return super().get_queryset(request).prefetch_related("memberships__organization")

    @display(description=gettext_lazy("belongs to"))
    def belongs(self, user: User) -> str:
        """Its organizations and roles."""
        return ", ".join(f"{m.organization} ({m.get_role_display()})" for m in user.memberships.all())

    @display(description=gettext_lazy("state"), label={"active": "success", "off": "danger"}, ordering="is_active")
    def state(self, user: User) -> tuple[str, str]:
        """Whether the user may sign in."""
        return ("active", _("active")) if user.is_active else ("off", _("switched off"))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Adding asks for more than changing."""
        if obj is None:
            kwargs["form"] = UserAddForm
        kwargs["labels"] = {"is_superuser": _("Platform staff")}
        kwargs["help_texts"] = {"is_superuser": _("Sees and changes everything, in every organization.")}
        return super().get_form(request, obj, change, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """None while adding."""
        return self.readonly_fields if obj is not None else ()

    def perform_add(self, request: HttpRequest, values: Mapping[str, Any]) -> User:
        """Add a user and, if one was chosen, the membership."""
        actor = request_actor(request)
        user = user_create(email=values["email"], name=values["name"], password=values["password"] or None, actor=actor)
        if values["organization"] is not None:
            member_add(organization=values["organization"], user=user, role=values["role"] or Role.MEMBER, actor=actor)
        return user

    def perform_change(self, request: HttpRequest, row: Any, changes: Mapping[str, Any]) -> User:
        """Change e-mail or name, or switch on or off."""
        return user_update(user=row, actor=request_actor(request), **changes)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Who has no password yet needs a link: hand it over at once."""
        if obj.has_usable_password():
            return super().response_add(request, obj, post_url_continue)
        return self._reveal_link(request, obj)

    @action(description=gettext_lazy("Sign-in link"), url_path="sign-in-link", icon="link")
    def sign_in_link(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then show a link once."""
        row = self.row_or_404(request, object_id)
        return self.ask(
            request,
            row,
            title=_("Sign-in link for %(user)s") % {"user": row},
            sentence=_("You get a link that signs this user in, once, within an hour. Hand it over on a safe way."),
            button=_("Make a link"),
            perform=lambda _values: self._reveal_link(request, row),
        )

    @action(description=gettext_lazy("Set password"), url_path="set-password", icon="password")
    def set_password(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for a new password, then set it."""
        row = self.row_or_404(request, object_id)

        def perform(values: dict[str, Any]) -> str:
            user_password_set(user=row, password=values["password"], actor=request_actor(request))
            return _("The password is set; the user's other sessions have ended.")

        return self.ask(
            request,
            row,
            title=_("Set the password of %(user)s") % {"user": row},
            sentence=_("It replaces the old one and ends the user's sessions."),
            button=_("Set password"),
            form_class=PasswordForm,
            perform=perform,
        )

    def _reveal_link(self, request: HttpRequest, user: User) -> HttpResponse:
        path = sign_in_link_issue(user=user, actor=request_actor(request))
        return self.page(
            request,
            "console/reveal_link.html",
            title=_("Sign-in link for %(user)s") % {"user": user},
            row=user,
            link=settings.PUBLIC_URL + path,
            now=now(),
        )


@admin.register(Membership)
class MembershipAdmin(ConsoleAdmin):
    """Who belongs where."""

    permission_read = "members.read"
    permission_write = "members.write"
    form = MembershipForm
    list_display = ("user", "name", "organization", "role", "reads_content", "active", "created_at")
    list_filter = ("role", ("organization", AutocompleteSelectFilter))
    list_select_related = ("user", "organization")
    search_fields = ("user__email", "user__name", "organization__name", "organization__slug")
    autocomplete_fields = ("user", "organization")
    actions_detail = ("remove",)
    actions_list = ("invite",)

    @display(description=gettext_lazy("name"), ordering="user__name")
    def name(self, membership: Membership) -> str:
        """The person's name."""
        return membership.user.name or "—"

    @display(description=gettext_lazy("state"), label={"active": "success", "off": "danger"})
    def active(self, membership: Membership) -> tuple[str, str]:
        """Whether the person may sign in."""
        return ("active", _("active")) if membership.user.is_active else ("off", _("switched off"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Platform staff alone: an organization invites."""
        return may(request, "")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Only the role changes later."""
        return ("organization", "user") if obj is not None else ()

    def perform_add(self, request: HttpRequest, values: Mapping[str, Any]) -> Membership:
        """Add a member."""
        actor = request_actor(request)
        added = member_add(organization=values["organization"], user=values["user"], role=values["role"], actor=actor)
        return member_update(membership=added, reads_content=values["reads_content"], actor=actor)

    def perform_change(self, request: HttpRequest, row: Any, changes: Mapping[str, Any]) -> Membership:
        """Change the role, or whether they see what was asked and answered."""
        return member_update(membership=row, actor=request_actor(request), **changes)

    @action(description=gettext_lazy("Invite"), url_path="invite", icon="person_add", variant=ActionVariant.PRIMARY)
    def invite(self, request: HttpRequest) -> HttpResponse:
        """On to the form for an invitation."""
        return HttpResponseRedirect(reverse("admin:invitations_invitation_add"))

    remove = row_action(
        "remove",
        gettext_lazy("Remove"),
        icon="person_remove",
        danger=True,
        leaves=True,
        does=lambda row, actor: member_remove(membership=row, actor=actor),
        title=gettext_lazy("Remove %(user)s from %(organization)s"),
        sentence=gettext_lazy("The user stays; only the membership ends."),
        done=gettext_lazy("%(user)s no longer belongs to %(organization)s."),
        words=lambda row: {"user": row.user, "organization": row.organization},
    )
