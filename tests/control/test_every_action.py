"""Every write leaves an admin event that says who, through which door, from where, and what it was before and after.

The actions are found by looking, so that a new one is held to it from its first day: it is done here, or a reason stands here why
it leaves no event.
"""

import ast
import importlib
import inspect
import os
import pkgutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.apps import apps as installed
from django.db import connection
from django.utils.timezone import now

import apps
from apps.audit.models import AdminEvent, RequestRecord
from apps.configuration.actions import configuration_apply
from apps.configuration.layout import read_configuration
from apps.core.actor import Actor
from apps.core.ids import parse_request_id
from apps.core.sealing import Keyring
from apps.orgs import actions as orgs
from apps.orgs.invitations import actions as invitations
from apps.orgs.invitations.models import Invitation
from apps.orgs.keys import actions as keys
from apps.orgs.keys.models import ManagementKey
from apps.orgs.models import Membership, Organization, User
from apps.orgs.people import factors, sessions
from apps.orgs.people.adapter import SecondFactorAdapter
from apps.orgs.scim import actions as scim
from apps.orgs.scim.models import DirectoryGroup
from apps.orgs.secrets import secrets_reseal
from apps.orgs.setup import actions as setup
from apps.orgs.signup import actions as signup
from apps.orgs.sso import actions as sso
from apps.orgs.sso.claims import Person
from apps.orgs.sso.models import Identity
from apps.orgs.sso.refusals import NOT_INVITED, SsoRefused
from apps.orgs.tenancy.actions import organization_start
from apps.policies.actions import adjustments, budgets, holds, policies, repricing, webhooks
from apps.policies.models import Budget, Policy, Webhook
from apps.providers import actions as providers
from apps.providers.aliases import actions as aliases
from apps.providers.aliases.models import Alias
from apps.providers.health import actions as health
from apps.providers.models import Credential, ProviderModel
from apps.providers.prices import actions as prices
from apps.providers.prices.documents import Line
from apps.providers.prices.models import Price
from apps.services import actions as services
from apps.services.models import Service, Token
from tests.api.world import SECRET, furnish
from tests.control.conftest import PASSWORD
from tests.documents.markdown import ROOT
from tests.support.provider import FakeProvider

ADDRESS = "192.0.2.77"
NO_ADDRESS = "nowhere"  # which no event can be written with

# Functions of actions that leave no event, and others that are asked about an actor.
_ASKS = "changes nothing"
_NOBODYS = "no operator did it"
WITHOUT = {
    "apps.audit.actions.event_record": "is what leaves the event",
    "apps.audit.actions.event_of_change": "is what leaves the event",
    "apps.audit.actions.facts": _ASKS,
    "apps.audit.actions.differences": _ASKS,
    "apps.objects.actions.objects_forget": _NOBODYS,
    "apps.orgs.actions.former_member_note": "is a part of what its callers leave an event of",
    "apps.orgs.actions.sign_in_link_check": _ASKS,
    "apps.orgs.giving.check_may_give": _ASKS,
    "apps.orgs.giving.check_may_open_content": _ASKS,
    "apps.orgs.giving.giver_role": _ASKS,
    "apps.orgs.invitations.actions.invitation_check": _ASKS,
    "apps.orgs.invitations.actions.invitation_secret": _ASKS,
    "apps.orgs.invitations.actions.invitation_sent": _NOBODYS,
    "apps.orgs.setup.actions.is_set_up": _ASKS,
    "apps.orgs.setup.actions.setup_code": _ASKS,
    "apps.orgs.scim.actions.directory_take_turns": _ASKS,
    "apps.orgs.signup.actions.check_sign_up": _ASKS,
    "apps.orgs.sso.actions.must_confirm": _ASKS,
    "apps.policies.actions.budgets.budget_of": _ASKS,
    "apps.policies.actions.budgets.checked_end_user": _ASKS,
    "apps.policies.actions.budgets.checked_tag": _ASKS,
    "apps.policies.actions.policies.place_lock": _ASKS,
    "apps.policies.actions.policies.place_of": _ASKS,
    "apps.providers.actions.catalogue_sync": _NOBODYS,
    "apps.providers.actions.credential_test": _ASKS,
    "apps.providers.listing.actions.listing_forget": _NOBODYS,
    "apps.providers.listing.actions.listing_store": _NOBODYS,
    "apps.providers.listing.actions.listings_claim": _NOBODYS,
}


class World:
    """An installation in which there is one of everything, as soon as it is asked for."""

    def __init__(self, settings: Any, upstream: FakeProvider) -> None:
        self.settings, self.upstream = settings, upstream
        self.address = ADDRESS

    @property
    def actor(self) -> Actor:
        """One of the installation's staff, from wherever they are at the time."""
        return Actor(door="api", label=self.staff.email, user_id=self.staff.pk, address=self.address)

    @property
    def nobody(self) -> Actor:
        """Whoever comes first."""
        return Actor(door="admin", label="(setup)", address=self.address)

    @cached_property
    def staff(self) -> User:
        return orgs.user_create(email="staff@installation.test", password=None, is_platform_staff=True, actor=SYSTEM)

    @cached_property
    def acme(self) -> Organization:
        return orgs.organization_create(name="Acme", slug="acme", actor=SYSTEM)

    @cached_property
    def ids(self) -> dict[str, str]:
        return furnish(self.acme)

    def row[M: Any](self, model: type[M], name: str = "") -> M:
        found: M = model._default_manager.get(pk=self.ids[name or f"{model.__name__.lower()}_id"])
        return found

    @cached_property
    def ana(self) -> User:
        return orgs.user_create(email="ana@acme.test", password=PASSWORD, actor=SYSTEM)

    @cached_property
    def membership(self) -> Membership:
        return orgs.member_add(organization=self.acme, user=self.ana, role="member", actor=SYSTEM)

    @cached_property
    def invitation(self) -> tuple[Invitation, str]:
        """For ana, and the secret within its link."""
        made, path = invitations.invitation_create(
            organization=self.acme, email="ana@acme.test", role="admin", delivery="link", actor=SYSTEM
        )
        return made, path.removeprefix("/invitations/").removesuffix("/")

    @cached_property
    def group(self) -> DirectoryGroup:
        return scim.directory_group_create(
            organization=self.acme,
            display_name="Ops",
            external_id="g1",
            members=[self.membership.user_id],
            actor=SYSTEM,
        )

    @cached_property
    def person(self) -> Person:
        return Person("https://id.test", "1001", "ana@acme.test", "Ana", None)

    @cached_property
    def identity(self) -> Identity:
        return sso.identity_connect(user=self.ana, person=self.person, actor=SYSTEM)

    @cached_property
    def session(self) -> UserSession:
        return UserSession.objects.create(
            user=self.ana, session_key="a" * 32, ip=ADDRESS, user_agent="Firefox/1", created_at=now()
        )

    @cached_property
    def reachable(self) -> Credential:
        """Of a provider that answers."""
        return providers.credential_add(
            organization=self.acme,
            provider="openai_compatible",
            label="reachable",
            base_url=f"{self.upstream.url}/v1",
            secret=SECRET,
            actor=SYSTEM,
        )

    def factor(self) -> Authenticator:
        """An app of ana's."""
        return Authenticator.objects.create(
            user=self.ana, type="totp", data={"secret": SecondFactorAdapter().encrypt("JBSWY3DPEHPK3PXP")}
        )

    def open_acme(self) -> None:
        """Let people of its domain join."""
        signup.sign_up_domains_set(organization=self.acme, domains=["acme.test"], actor=SYSTEM)

    def another_sealing_key(self) -> None:
        """Begin a rotation, after everything was sealed with the key before."""
        self.settings.SEALING_KEYS = Keyring.parse(f"{Keyring.generate('another')},{os.environ['SEALING_KEYS']}")


SYSTEM = Actor.system("command")

type Doing = Callable[[World], Any]
# The events that a doing leaves, and what they have of before and after: `+` what was made, `-` what is gone, `~` both, of the same
# fields.
type Events = dict[str, str]

DOINGS: dict[str, tuple[Doing, Doing, Events]] = {}


def doing(name: str, action: Doing, events: Events, *, before: Doing = lambda _world: None) -> None:
    """`action` is done; `before` it, quietly, what it needs."""
    DOINGS[name] = (before, action, events)


# --- Organizations and people ---

_ORGS = "apps.orgs.actions."
doing(
    f"{_ORGS}organization_create",
    lambda w: orgs.organization_create(name="Zeta", slug="zeta", actor=w.actor),
    {"organization.created": "+"},
)
doing(
    f"{_ORGS}organization_update",
    lambda w: orgs.organization_update(organization=w.acme, name="Acme Corporation", actor=w.actor),
    {"organization.updated": "~"},
)
doing(
    f"{_ORGS}organization_entitle",
    lambda w: orgs.organization_entitle(organization=w.acme, hosted_credentials=False, actor=w.actor),
    {"organization.entitled": "~"},
)
doing(
    f"{_ORGS}organization_suspend",
    lambda w: orgs.organization_suspend(organization=w.acme, actor=w.actor),
    {"organization.suspended": "~"},
)
doing(
    f"{_ORGS}organization_resume",
    lambda w: orgs.organization_resume(organization=w.acme, actor=w.actor),
    {"organization.resumed": "~"},
    before=lambda w: orgs.organization_suspend(organization=w.acme, actor=SYSTEM),
)
doing(
    f"{_ORGS}owner_create",
    lambda w: orgs.owner_create(organization=w.acme, email="zoe@acme.test", password=PASSWORD, actor=w.actor),
    {"user.created": "+", "membership.created": "+"},
)
doing(
    f"{_ORGS}owner_appoint",
    lambda w: orgs.owner_appoint(organization=w.acme, user=w.ana, actor=w.actor),
    {"membership.created": "+"},
)
doing(
    f"{_ORGS}user_create",
    lambda w: orgs.user_create(email="zoe@acme.test", password=PASSWORD, actor=w.actor),
    {"user.created": "+"},
)
doing(
    f"{_ORGS}user_update",
    lambda w: orgs.user_update(user=w.ana, email="ana@elsewhere.test", is_active=False, actor=w.actor),
    {"user.updated": "~"},
)
doing(
    f"{_ORGS}user_password_set",
    lambda w: orgs.user_password_set(user=w.ana, password="another good long one", actor=w.actor),
    {"user.password_set": "~"},
)
doing(
    f"{_ORGS}member_add",
    lambda w: orgs.member_add(organization=w.acme, user=w.ana, role="auditor", actor=w.actor),
    {"membership.created": "+"},
)
doing(
    f"{_ORGS}member_join",
    lambda w: orgs.member_join(organization=w.acme, user=w.ana, role="member", actor=w.actor),
    {"membership.created": "+"},
)
doing(
    f"{_ORGS}member_update",
    lambda w: orgs.member_update(membership=w.membership, role="admin", reads_content=True, actor=w.actor),
    {"membership.updated": "~"},
)
doing(
    f"{_ORGS}member_set_role",
    lambda w: orgs.member_set_role(membership=w.membership, role="billing", actor=w.actor),
    {"membership.updated": "~"},
)
doing(
    f"{_ORGS}member_remove",
    lambda w: orgs.member_remove(membership=w.membership, actor=w.actor),
    {"membership.removed": "-"},
)
doing(
    f"{_ORGS}member_end",
    lambda w: orgs.member_end(membership=w.membership, actor=w.actor),
    {"membership.removed": "-"},
)
doing(
    f"{_ORGS}sign_in_link_issue",
    lambda w: orgs.sign_in_link_issue(user=w.ana, actor=w.actor),
    {"sign_in_link.issued": "+"},
)
doing(
    f"{_ORGS}sign_in_link_use",
    lambda w: orgs.sign_in_link_use(secret=w.link.rpartition("/sign-in/")[2].rstrip("/"), address=w.address),
    {"sign_in_link.used": "~"},
    before=lambda w: setattr(w, "link", orgs.sign_in_link_issue(user=w.ana, actor=SYSTEM)),
)
doing(
    "apps.orgs.tenancy.actions.organization_start",
    lambda w: organization_start(
        user=w.ana, name="Own", slug="own", actor=Actor("admin", "ana@acme.test", w.ana.pk, w.address)
    ),
    {"organization.created": "+", "membership.created": "+"},
)
doing(
    "apps.orgs.setup.actions.installation_set_up",
    lambda w: setup.installation_set_up(
        code=setup.setup_code(),
        organization="First",
        email="first@acme.test",
        name="",
        password=PASSWORD,
        actor=w.nobody,
    ),
    {"organization.created": "+", "user.created": "+", "membership.created": "+"},
)
doing(
    "apps.orgs.people.factors.second_factors_remove",
    lambda w: factors.second_factors_remove(user=w.ana, actor=w.actor),
    {"user.second_factors_removed": "-"},
    before=World.factor,
)
doing(
    "apps.orgs.people.factors.factors_reseal",
    lambda w: factors.factors_reseal(actor=w.actor),
    {"user.second_factor_resealed": "+"},
    before=lambda w: (w.factor(), w.another_sealing_key()),
)
doing(
    "apps.orgs.secrets.secrets_reseal",
    lambda w: secrets_reseal(actor=w.actor),
    {"credential.resealed": "+", "webhook.resealed": "+"},
    before=lambda w: (w.ids, w.another_sealing_key()),
)
doing(
    "apps.orgs.people.sessions.session_end",
    lambda w: sessions.session_end(session=UserSession.objects.get(pk=w.session.pk), actor=w.actor),
    {"session.ended": "-"},
)
doing(
    "apps.orgs.people.sessions.sessions_end",
    lambda w: sessions.sessions_end(user=w.session.user, actor=w.actor),
    {"session.ended": "-"},
)

# --- Invitations, keys, the directory, single sign-on ---

_SIGN_UP = "apps.orgs.signup.actions."
doing(
    f"{_SIGN_UP}sign_up_domains_set",
    lambda w: signup.sign_up_domains_set(organization=w.acme, domains=["acme.test"], actor=w.actor),
    {"organization.updated": "~"},
)
doing(
    f"{_SIGN_UP}sign_up",
    lambda w: signup.sign_up(email="zoe@acme.test", name="Zoe", password=PASSWORD, address=w.address),
    {"user.created": "+", "membership.created": "+", "sign_up_domain.used": "+"},
    before=World.open_acme,
)
doing(
    f"{_SIGN_UP}organization_join",
    lambda w: signup.organization_join(organization=w.acme, user=w.ana, address=w.address),
    {"membership.created": "+", "sign_up_domain.used": "+"},
    before=World.open_acme,
)
doing(
    f"{_SIGN_UP}newcomer_join",
    lambda w: signup.newcomer_join(user=w.ana, address=w.address),
    {"membership.created": "+", "sign_up_domain.used": "+"},
    before=World.open_acme,
)

_INVITATIONS = "apps.orgs.invitations.actions."
doing(
    f"{_INVITATIONS}invitation_create",
    lambda w: invitations.invitation_create(organization=w.acme, email="zoe@acme.test", role="owner", actor=w.actor),
    {"invitation.created": "+"},
)
doing(
    f"{_INVITATIONS}invitation_renew",
    lambda w: invitations.invitation_renew(invitation=w.invitation[0], actor=w.actor),
    {"invitation.renewed": "~"},
)
doing(
    f"{_INVITATIONS}invitation_revoke",
    lambda w: invitations.invitation_revoke(invitation=w.invitation[0], actor=w.actor),
    {"invitation.revoked": "~"},
)
doing(
    f"{_INVITATIONS}invitation_accept",
    lambda w: invitations.invitation_accept(signed=w.invitation[1], user=w.ana, address=w.address),
    {"invitation.accepted": "~", "membership.created": "+"},
)
doing(
    f"{_INVITATIONS}invitation_accept_as_new",
    lambda w: invitations.invitation_accept_as_new(
        signed=w.invitation[1], name="Ana", password=PASSWORD, address=w.address
    ),
    {"invitation.accepted": "~", "membership.created": "+", "user.created": "+"},
)
doing(
    f"{_INVITATIONS}invitations_accept_verified",
    lambda w: invitations.invitations_accept_verified(user=w.ana, address=w.address),
    {"invitation.accepted": "~", "membership.created": "+"},
    before=lambda w: w.invitation,
)
doing(
    "apps.orgs.keys.actions.key_issue",
    lambda w: keys.key_issue(
        organization=w.acme, name="More", permissions=["usage.read"], most={"usage.read"}, actor=w.actor
    ),
    {"management_key.issued": "+"},
)
doing(
    "apps.orgs.keys.actions.key_revoke",
    lambda w: keys.key_revoke(key=w.row(ManagementKey, "key_id"), actor=w.actor),
    {"management_key.revoked": "~"},
)
doing(
    "apps.orgs.keys.actions.keys_revoke_of",
    lambda w: keys.keys_revoke_of(user=w.ana, actor=w.actor),
    {"management_key.revoked": "~"},
    before=lambda w: keys.key_issue(
        organization=w.acme,
        name="Hers",
        permissions=["usage.read"],
        most={"usage.read"},
        actor=Actor("admin", "ana@acme.test", w.membership.user_id),
    ),
)
_SCIM = "apps.orgs.scim.actions."
doing(
    f"{_SCIM}directory_token_issue",
    lambda w: scim.directory_token_issue(organization=w.acme, name="Okta", actor=w.actor),
    {"directory_token.issued": "+"},
)
doing(
    f"{_SCIM}directory_token_revoke",
    lambda w: scim.directory_token_revoke(token=w.directory_token, actor=w.actor),
    {"directory_token.revoked": "~"},
    before=lambda w: setattr(
        w, "directory_token", scim.directory_token_issue(organization=w.acme, name="Okta", actor=SYSTEM)[0]
    ),
)
doing(
    f"{_SCIM}directory_user_create",
    lambda w: scim.directory_user_create(
        organization=w.acme, account=scim.Account(email="zoe@acme.test", name="Zoe"), actor=w.actor
    ),
    {"directory_user.created": "+", "user.created": "+", "membership.created": "+"},
)
doing(
    f"{_SCIM}directory_user_update",
    lambda w: scim.directory_user_update(
        organization=w.acme,
        user=w.directory_user,
        account=scim.Account(external_id="x-1", name="Zoë", active=False),
        actor=w.actor,
    ),
    {"directory_user.updated": "~", "user.updated": "~", "membership.removed": "-"},
    before=lambda w: setattr(
        w,
        "directory_user",
        scim.directory_user_create(organization=w.acme, account=scim.Account(email="zoe@acme.test"), actor=SYSTEM).user,
    ),
)
doing(
    f"{_SCIM}directory_user_delete",
    lambda w: scim.directory_user_delete(organization=w.acme, user=w.membership.user, actor=w.actor),
    {"directory_user.deleted": "-"},
    before=lambda w: w.group,
)
doing(
    f"{_SCIM}directory_group_create",
    lambda w: scim.directory_group_create(
        organization=w.acme, display_name="admin", external_id="", members=[w.membership.user_id], actor=w.actor
    ),
    {"directory_group.created": "+", "directory_group.members_changed": "~", "membership.updated": "~"},
)
doing(
    f"{_SCIM}directory_group_update",
    lambda w: scim.directory_group_update(group=w.group, display_name="Operators", members=set(), actor=w.actor),
    {"directory_group.updated": "~", "directory_group.members_changed": "~"},
)
doing(
    f"{_SCIM}directory_group_role",
    lambda w: scim.directory_group_role(group=w.group, role="auditor", actor=w.actor),
    {"directory_group.updated": "~", "membership.updated": "~"},
)
doing(
    f"{_SCIM}directory_group_delete",
    lambda w: scim.directory_group_delete(group=DirectoryGroup.objects.get(pk=w.group.pk), actor=w.actor),
    {"directory_group.deleted": "-"},
)
_SSO = "apps.orgs.sso.actions."
doing(
    f"{_SSO}identity_sign_in",
    lambda w: sso.identity_sign_in(person=w.person, address=w.address),
    {"sso.signed_in": "+"},
    before=lambda w: w.identity,
)
doing(
    f"{_SSO}identity_connect",
    lambda w: sso.identity_connect(user=w.ana, person=w.person, actor=w.actor),
    {"sso.connected": "+"},
)
doing(
    f"{_SSO}identity_disconnect",
    lambda w: sso.identity_disconnect(identity=w.identity, actor=w.actor),
    {"sso.disconnected": "-"},
)
doing(
    f"{_SSO}refusal_record",
    lambda w: sso.refusal_record(refusal=SsoRefused(NOT_INVITED, person=w.person), address=w.address),
    {"sso.refused": "+"},
)

# --- Services and tokens ---

_SERVICES = "apps.services.actions."
doing(
    f"{_SERVICES}service_create",
    lambda w: services.service_create(organization=w.acme, name="Shop", actor=w.actor),
    {"service.created": "+"},
)
doing(
    f"{_SERVICES}service_update",
    lambda w: services.service_update(service=w.row(Service), name="Shop", actor=w.actor),
    {"service.updated": "~"},
)
doing(
    f"{_SERVICES}service_disable",
    lambda w: services.service_disable(service=w.row(Service), actor=w.actor),
    {"service.disabled": "~"},
)
doing(
    f"{_SERVICES}service_enable",
    lambda w: services.service_enable(service=w.row(Service), actor=w.actor),
    {"service.enabled": "~"},
    before=lambda w: services.service_disable(service=w.row(Service), actor=SYSTEM),
)
doing(
    f"{_SERVICES}token_issue",
    lambda w: services.token_issue(service=w.row(Service), name="More", actor=w.actor),
    {"token.issued": "+"},
)
doing(
    f"{_SERVICES}token_rotate",
    lambda w: services.token_rotate(token=w.row(Token), grace=timedelta(hours=1), actor=w.actor),
    {"token.rotated": "~"},
)
doing(
    f"{_SERVICES}token_revoke",
    lambda w: services.token_revoke(token=w.row(Token), actor=w.actor),
    {"token.revoked": "~"},
)

# --- Providers ---

_PROVIDERS = "apps.providers.actions."
doing(
    f"{_PROVIDERS}credential_add",
    lambda w: providers.credential_add(
        organization=w.acme, provider="openai", label="More", secret=SECRET, actor=w.actor
    ),
    {"credential.added": "+"},
)
doing(
    f"{_PROVIDERS}credential_update",
    lambda w: providers.credential_update(
        credential=w.row(Credential), label="Other", secret="sk-another-0123456789", actor=w.actor
    ),
    {"credential.updated": "~"},
)
doing(
    f"{_PROVIDERS}credential_rotate_secret",
    lambda w: providers.credential_rotate_secret(
        credential=w.row(Credential), secret="sk-another-0123456789", actor=w.actor
    ),
    {"credential.secret_rotated": "~"},
)
doing(
    f"{_PROVIDERS}credential_disable",
    lambda w: providers.credential_disable(credential=w.row(Credential), actor=w.actor),
    {"credential.disabled": "~"},
)
doing(
    f"{_PROVIDERS}credential_enable",
    lambda w: providers.credential_enable(credential=w.row(Credential), actor=w.actor),
    {"credential.enabled": "~"},
    before=lambda w: providers.credential_disable(credential=w.row(Credential), actor=SYSTEM),
)
doing(
    f"{_PROVIDERS}credential_drain",
    lambda w: providers.credential_drain(credential=w.row(Credential), actor=w.actor),
    {"credential.drained": "~"},
)
doing(
    f"{_PROVIDERS}credential_undrain",
    lambda w: providers.credential_undrain(credential=w.row(Credential), actor=w.actor),
    {"credential.undrained": "~"},
    before=lambda w: providers.credential_drain(credential=w.row(Credential), actor=SYSTEM),
)
doing(
    f"{_PROVIDERS}model_add",
    lambda w: providers.model_add(organization=w.acme, provider="openai", name="more", actor=w.actor),
    {"model.added": "+"},
)
doing(
    f"{_PROVIDERS}model_update",
    lambda w: providers.model_update(model=w.row(ProviderModel, "model_id"), enabled=False, actor=w.actor),
    {"model.updated": "~"},
)
doing(
    f"{_PROVIDERS}model_remove",
    lambda w: providers.model_remove(model=w.row(ProviderModel, "model_id"), actor=w.actor),
    {"model.removed": "-"},
)
doing(
    f"{_PROVIDERS}models_import",
    lambda w: providers.models_import(credential=w.reachable, actor=w.actor),
    {"model.added": "+"},
)
doing(
    "apps.providers.health.actions.credential_refused",
    lambda w: health.credential_refused(
        credential_id=w.row(Credential).pk, status=401, model="m", at=now() + timedelta(minutes=1), actor=w.actor
    ),
    {"credential.refused": "~"},
)
doing(
    "apps.providers.health.actions.credential_accepted",
    lambda w: health.credential_accepted(
        credential_id=w.row(Credential).pk, model="m", at=now() + timedelta(minutes=2), actor=w.actor
    ),
    {"credential.accepted": "~"},
    before=lambda w: health.credential_refused(
        credential_id=w.row(Credential).pk, status=401, model="m", at=now() + timedelta(minutes=1), actor=SYSTEM
    ),
)
_ALIASES = "apps.providers.aliases.actions."
doing(
    f"{_ALIASES}alias_add",
    lambda w: aliases.alias_add(
        organization=w.acme, name="more", targets=[aliases.AliasGoal(model="gpt-4o")], actor=w.actor
    ),
    {"alias.added": "+"},
)
doing(
    f"{_ALIASES}alias_update",
    lambda w: aliases.alias_update(alias=w.row(Alias), targets=[aliases.AliasGoal(model="gpt-4o")], actor=w.actor),
    {"alias.updated": "~"},
)
doing(
    f"{_ALIASES}alias_set",
    lambda w: aliases.alias_set(
        organization=w.acme, name=w.row(Alias).name, targets=[aliases.AliasGoal(model="gpt-4o")], actor=w.actor
    ),
    {"alias.updated": "~"},
)
doing(
    f"{_ALIASES}alias_remove",
    lambda w: aliases.alias_remove(alias=w.row(Alias), actor=w.actor),
    {"alias.removed": "-"},
)
_PRICES = "apps.providers.prices.actions."
_SINCE = datetime(2026, 2, 1, tzinfo=UTC)
doing(
    f"{_PRICES}price_set",
    lambda w: prices.price_set(
        organization=w.acme,
        provider="openai",
        model="more",
        prices={"input": Decimal(1)},
        effective_from=_SINCE,
        actor=w.actor,
    ),
    {"price.set": "+"},
)
doing(
    f"{_PRICES}price_withdraw",
    lambda w: prices.price_withdraw(price=w.row(Price), actor=w.actor),
    {"price.withdrawn": "~"},
)
doing(
    f"{_PRICES}prices_import",
    lambda w: prices.prices_import(
        organization=w.acme,
        lines=[
            Line(number=1, provider="openai", model="more", effective_from=_SINCE, prices={"input": Decimal("1.5")})
        ],
        actor=w.actor,
    ),
    {"prices.imported": "+"},
)
doing(
    f"{_PRICES}prices_sync",
    lambda w: prices.prices_sync(actor=w.actor),
    {"prices.synced": "+"},
    before=lambda _w: _forget_prices(),
)

# --- Policies, budgets, webhooks ---

_POLICIES = "apps.policies.actions.policies."
doing(
    f"{_POLICIES}policy_create",
    lambda w: policies.policy_create(organization=w.acme, name="More", actor=w.actor),
    {"policy.created": "+"},
)
doing(
    f"{_POLICIES}policy_update",
    lambda w: policies.policy_update(policy=w.row(Policy), fields={"max_output_tokens": 5}, actor=w.actor),
    {"policy.updated": "~"},
)
doing(
    f"{_POLICIES}policy_delete",
    lambda w: policies.policy_delete(policy=w.policy, actor=w.actor),
    {"policy.deleted": "-"},
    before=lambda w: setattr(w, "policy", policies.policy_create(organization=w.acme, name="Loose", actor=SYSTEM)),
)
doing(
    f"{_POLICIES}policy_attach",
    lambda w: policies.policy_attach(policy=w.row(Policy), layer="organization", organization=w.acme, actor=w.actor),
    {"policy.attached": "+"},
)
doing(
    f"{_POLICIES}policy_detach",
    lambda w: policies.policy_detach(policy=w.row(Policy), layer="service", service=w.row(Service), actor=w.actor),
    {"policy.detached": "-"},
)
doing(
    f"{_POLICIES}inline_set",
    lambda w: policies.inline_set(
        layer="service", service=w.row(Service), fields={"max_output_tokens": 5}, actor=w.actor
    ),
    {"policy.created": "+"},
)
_BUDGETS = "apps.policies.actions.budgets."
doing(
    f"{_BUDGETS}budget_create",
    lambda w: budgets.budget_create(
        organization=w.acme,
        subject=budgets.Subject("organization"),
        window="day",
        limit_usd=Decimal(1),
        actor=w.actor,
    ),
    {"budget.created": "+"},
)
doing(
    f"{_BUDGETS}budget_update",
    lambda w: budgets.budget_update(budget=w.row(Budget), limit_usd=Decimal(1), actor=w.actor),
    {"budget.updated": "~"},
)
doing(
    f"{_BUDGETS}budget_set",
    lambda w: budgets.budget_set(
        organization=w.acme,
        subject=budgets.Subject("organization"),
        window="month",
        limit_usd=Decimal("7.5"),
        actor=w.actor,
    ),
    {"budget.updated": "~"},
    before=lambda w: w.ids,
)
doing(
    f"{_BUDGETS}budget_delete",
    lambda w: budgets.budget_delete(budget=w.row(Budget), actor=w.actor),
    {"budget.deleted": "-"},
)
doing(
    f"{_BUDGETS}budget_disable",
    lambda w: budgets.budget_disable(budget=w.row(Budget), actor=w.actor),
    {"budget.disabled": "~"},
)
doing(
    f"{_BUDGETS}budget_enable",
    lambda w: budgets.budget_enable(budget=w.row(Budget), actor=w.actor),
    {"budget.enabled": "~"},
    before=lambda w: budgets.budget_disable(budget=w.row(Budget), actor=SYSTEM),
)
doing(
    "apps.policies.actions.holds.hold_release",
    lambda w: holds.hold_release(request=_request(w.ids["request_id"]), actor=w.actor),
    {"hold.released": "-"},
)
doing(
    "apps.policies.actions.adjustments.adjustment_record",
    lambda w: adjustments.adjustment_record(
        organization=w.acme, amount_usd=Decimal("-0.5"), reason="charged twice", actor=w.actor
    ),
    {"adjustment.recorded": "+"},
)
doing(
    "apps.policies.actions.repricing.records_reprice",
    lambda w: repricing.records_reprice(
        since=date(2026, 1, 1), until=date(9999, 1, 1), reason="wrong", organization=w.acme, actor=w.actor
    ),
    {"adjustment.recorded": "+"},
    before=lambda w: RequestRecord.objects.filter(pk=_request(w.ids["record_id"])).update(cost_usd=Decimal(3)),
)
_WEBHOOKS = "apps.policies.actions.webhooks."
doing(
    f"{_WEBHOOKS}webhook_add",
    lambda w: webhooks.webhook_add(organization=w.acme, url="http://127.0.0.1:9/more", actor=w.actor),
    {"webhook.added": "+"},
)
doing(
    f"{_WEBHOOKS}webhook_rotate_secret",
    lambda w: webhooks.webhook_rotate_secret(webhook=w.row(Webhook), actor=w.actor),
    {"webhook.secret_rotated": "+"},
)
doing(
    f"{_WEBHOOKS}webhook_delete",
    lambda w: webhooks.webhook_delete(webhook=w.row(Webhook), actor=w.actor),
    {"webhook.deleted": "-"},
)
doing(
    f"{_WEBHOOKS}webhook_disable",
    lambda w: webhooks.webhook_disable(webhook=w.row(Webhook), actor=w.actor),
    {"webhook.disabled": "~"},
)
doing(
    f"{_WEBHOOKS}webhook_enable",
    lambda w: webhooks.webhook_enable(webhook=w.row(Webhook), actor=w.actor),
    {"webhook.enabled": "~"},
    before=lambda w: webhooks.webhook_disable(webhook=w.row(Webhook), actor=SYSTEM),
)
_FILE = b"version: 1\norganizations: [{slug: acme, name: Acme, services: [{name: shop}]}]\n"
doing(
    "apps.configuration.actions.configuration_apply",
    lambda w: configuration_apply(read_configuration(_FILE), actor=w.actor),
    {"organization.created": "+", "service.created": "+"},
)


def _forget_prices() -> None:
    """As if this release were the first to ship them: the book itself lets nobody do that."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE providers_price DISABLE TRIGGER providers_price_append_only")
        Price.objects.filter(shipped=True, provider="openai").delete()
        cursor.execute("ALTER TABLE providers_price ENABLE TRIGGER providers_price_append_only")


def _request(shown: str) -> UUID:
    found = parse_request_id(shown)
    assert found is not None
    return found


@pytest.fixture
def world(db: None, settings: Any, upstream: FakeProvider, loopback: None) -> World:
    settings.TENANCY = "multi"
    return World(settings, upstream)


def _functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """All that writes, as far as one can see: public functions of modules called actions, and what takes an actor elsewhere."""
    for found in pkgutil.walk_packages(apps.__path__, "apps."):
        if ".migrations" in found.name or ".management." in found.name or found.name.endswith("__main__"):
            continue
        for name, value in vars(importlib.import_module(found.name)).items():
            if not inspect.isfunction(value) or name.startswith("_") or value.__module__ != found.name:
                continue
            if "actions" in found.name.split(".") or "actor" in inspect.signature(value).parameters:
                yield f"{found.name}.{name}", value


def test_every_action_is_done_here_or_has_its_reason() -> None:
    found = {name for name, _function in _functions()}

    assert len(found) > 100
    assert found == DOINGS.keys() | WITHOUT.keys()
    assert not DOINGS.keys() & WITHOUT.keys()


DOORS = ("admin.py", "views.py", "/admin/", "/resources/", "/commands/")
_WRITES = {"save", "create", "bulk_create", "get_or_create", "update_or_create", "delete", "bulk_update", "aupdate"}


def _calls(of: tuple[str, ...] = ("",)) -> Iterator[tuple[str, ast.Call]]:
    """Every call in the product's modules whose path has one of these parts, and where it stands."""
    for path in sorted((ROOT / "apps").rglob("*.py")):
        name = str(path.relative_to(ROOT))
        if "/migrations/" not in name and any(part in name for part in of):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    yield f"{name}:{node.lineno}", node


def test_doors_write_through_actions_alone() -> None:
    written = [
        where
        for where, call in _calls(DOORS)
        if isinstance(call.func, ast.Attribute)
        and (call.func.attr in _WRITES or (call.func.attr == "update" and "objects" in ast.unparse(call.func)))
        and "request.session" not in ast.unparse(call.func)
    ]

    assert not written


def test_whoever_comes_through_a_door_comes_from_an_address() -> None:
    actors = [(where, call) for where, call in _calls() if isinstance(call.func, ast.Name) and call.func.id == "Actor"]

    assert len(actors) > 8
    # The fourth argument, where it has no name.
    assert not [
        where for where, call in actors if len(call.args) < 4 and "address" not in {each.arg for each in call.keywords}
    ]


def everything() -> dict[str, Any]:
    """What is in every table, admin events too."""
    found: dict[str, Any] = {}
    with connection.cursor() as cursor:
        for model in installed.get_models(include_auto_created=True):
            table = connection.ops.quote_name(model._meta.db_table)
            cursor.execute(f"SELECT count(*), md5(string_agg(t::text, ' ' ORDER BY t::text)) FROM {table} AS t")
            found[model._meta.label] = cursor.fetchone()
    return found


@pytest.mark.parametrize("name", DOINGS)
def test_every_write_leaves_its_event_or_nothing_at_all(name: str, world: World) -> None:
    prepare, act, expected = DOINGS[name]
    prepare(world)
    _make_what_is_asked_for(world, act)
    world.address = NO_ADDRESS
    before = everything()
    with pytest.raises(ValueError, match="nowhere"):
        act(world)
    assert everything() == before

    world.address = ADDRESS
    known = set(AdminEvent.objects.values_list("pk", flat=True))
    answer = act(world)

    events = list(AdminEvent.objects.exclude(pk__in=known).order_by("id"))
    assert expected.keys() <= {event.action for event in events}
    for event in events:
        assert event.address == ADDRESS
        assert event.door in {"api", "admin", "system"}
        assert event.actor_label
        _check_shape(event, expected.get(event.action, ""))
        _check_no_secret(event, answer)


def _make_what_is_asked_for(world: World, act: Doing) -> None:
    """What `act` names of the world, there before it is done."""
    made_by = {"actor": "staff", "row": "ids"}
    for name in act.__code__.co_names:  # type: ignore[attr-defined]  # a lambda's
        attribute = made_by.get(name, name)
        if isinstance(vars(World).get(attribute), cached_property):
            getattr(world, attribute)


def _check_shape(event: AdminEvent, shape: str) -> None:
    had, has = event.before, event.after
    assert (had is not None, has is not None) == {
        "+": (False, True),
        "-": (True, False),
        "~": (True, True),
        "": (had is not None, has is not None),
    }[shape], (event.action, had, has)
    if shape == "~":
        assert had is not None
        assert has is not None
        assert had != has
        assert had.keys() == has.keys() - {"secret_replaced"}, event.action


def _check_no_secret(event: AdminEvent, answer: Any) -> None:
    told = answer if isinstance(answer, tuple) else (answer,)
    plain = [each.rpartition("/sign-in/")[2].rstrip("/") for each in told if isinstance(each, str)]
    seen = f"{event.before} {event.after} {event.target_label}"
    for secret in (*plain, SECRET, PASSWORD, "sk-another-0123456789"):
        assert secret not in seen, event.action
    for column in ("digest", "sealed_secret", "password", "previous_digest"):
        assert column not in (event.before or {}), event.action
        assert column not in (event.after or {}), event.action
