"""Organizations, the people who sign in, and who belongs where."""

from collections.abc import Iterable
from typing import Any, ClassVar
from zoneinfo import available_timezones

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from apps.core.models import Row
from apps.orgs.domains import check_domain


def check_timezone(name: str) -> None:
    """Raises ValidationError unless `name` is an IANA time zone."""
    if name not in available_timezones():
        raise ValidationError(
            _("%(name)s is not a time zone: use a name such as Europe/Madrid."), params={"name": name}
        )


class Role(models.TextChoices):
    """What a member may do."""

    OWNER = "owner", _("owner")
    ADMIN = "admin", _("admin")
    MEMBER = "member", _("member")
    AUDITOR = "auditor", _("auditor")
    BILLING = "billing", _("billing")


# What somebody may become by themselves: nobody who changes anything for others.
SIGN_UP_ROLES = (Role.MEMBER, Role.AUDITOR, Role.BILLING)


class Organization(Row):
    """A tenant: everything below it belongs to it alone."""

    name = models.CharField(_("name"), max_length=100)
    slug = models.SlugField(
        _("slug"), max_length=50, unique=True, help_text=_("Names the organization in commands and URLs.")
    )
    timezone = models.CharField(_("time zone"), max_length=64, default="UTC", validators=[check_timezone])
    suspended_at = models.DateTimeField(
        _("suspended at"), null=True, blank=True, help_text=_("Its tokens are refused from then on.")
    )
    members_manage_services = models.BooleanField(
        _("members manage services"), default=False, db_default=False, help_text=_("Else its owners and admins do.")
    )
    members_manage_tokens = models.BooleanField(
        _("members manage tokens"), default=False, db_default=False, help_text=_("Else its owners and admins do.")
    )
    require_second_factor = models.BooleanField(
        _("require a second factor"),
        default=False,
        db_default=False,
        help_text=_("Of everybody who signs in with a password."),
    )
    hosted_credentials = models.BooleanField(
        _("hosted credentials"),
        default=True,
        db_default=True,
        help_text=_("Its calls may use the installation's credentials, where it has none of its own for a model."),
    )
    sign_up_role = models.CharField(
        _("role of who joins by themselves"),
        max_length=16,
        choices=[(role.value, role.label) for role in SIGN_UP_ROLES],
        default=Role.MEMBER,
        db_default=Role.MEMBER,
        help_text=_("Owners and admins are made by hand."),
    )
    created_at = models.DateTimeField(_("created at"), default=now, editable=False)

    class Meta:
        verbose_name = _("organization")
        verbose_name_plural = _("organizations")
        ordering = ("name",)
        constraints = [
            models.CheckConstraint(
                condition=models.Q(sign_up_role__in=[role.value for role in SIGN_UP_ROLES]),
                name="orgs_organization_sign_up_role",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def sign_up_domain_names(self) -> list[str]:
        """The domains whose people may join by themselves."""
        return [each.domain for each in self.sign_up_domains.all()]


class OwnedRow(Row):
    """A tenant's row. Every tenant table has its organization from its first migration."""

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", verbose_name=_("organization")
    )

    class Meta:
        abstract = True


class SharedRow(Row):
    """A row of one organization, or of the installation, which then offers it to all (`organization` null)."""

    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("organization"),
        null=True,
        blank=True,
        help_text=_("Empty: hosted by the installation and offered to every organization."),
    )

    class Meta:
        abstract = True


class UserManager(BaseUserManager["User"]):
    """Users by e-mail, whatever its case."""

    def get_by_natural_key(self, username: str | None) -> "User":
        """The user who signs in with this e-mail. Raises User.DoesNotExist."""
        return self.get(email__iexact=username)

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """A user; without a password, one who can sign in by link only. `orgs.actions` is the door for operators."""
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """A user with every permission on the installation, as `manage.py createsuperuser` makes one."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(Row, AbstractBaseUser, PermissionsMixin):
    """A person who signs in, known by e-mail."""

    email = models.EmailField(
        _("e-mail"), max_length=254, unique=True, error_messages={"unique": _("A user with this e-mail exists.")}
    )
    name = models.CharField(_("name"), max_length=100, blank=True)
    language = models.CharField(  # a code of LANGUAGES, chosen last; of e-mails that nobody's browser asks for
        _("language"), max_length=8, blank=True, default="", db_default="", editable=False
    )
    is_active = models.BooleanField(_("active"), default=True)
    is_staff = models.BooleanField(_("may open the console"), default=False)
    created_at = models.DateTimeField(_("created at"), default=now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    EMAIL_FIELD = "email"
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        ordering = ("email",)
        # Kept in lower case, so that unique means unique whatever the case.
        constraints = [models.CheckConstraint(condition=models.Q(email=Lower("email")), name="orgs_user_email_lower")]

    def __str__(self) -> str:
        return self.email

    def get_short_name(self) -> str:
        """What the console greets with."""
        return self.name or self.email

    def clean(self) -> None:
        """Keep e-mails in lower case."""
        super().clean()
        self.email = self.email.lower()


class Membership(OwnedRow):
    """A user belongs to an organization, in one role."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("user"))
    role = models.CharField(_("role"), max_length=16, choices=Role)
    reads_content = models.BooleanField(
        _("reads captured content"),
        default=False,
        db_default=False,
        help_text=_("What was asked and answered, where it is captured. No role includes it."),
    )
    created_at = models.DateTimeField(_("created at"), default=now, editable=False)

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [
            models.UniqueConstraint(fields=["organization", "user"], name="orgs_membership_once"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="orgs_membership_role"),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.get_role_display()}"


class SignUpDomain(OwnedRow):
    """A domain of e-mails whose people may join the organization by themselves. It is one organization's, or nobody's."""

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="sign_up_domains", verbose_name=_("organization")
    )
    domain = models.CharField(_("domain"), max_length=253, unique=True, validators=[check_domain])
    created_at = models.DateTimeField(_("created at"), default=now, editable=False)

    class Meta:
        verbose_name = _("sign-up domain")
        verbose_name_plural = _("sign-up domains")
        ordering = ("domain",)
        constraints = [
            models.CheckConstraint(condition=models.Q(domain=Lower("domain")), name="orgs_signupdomain_lower")
        ]

    def __str__(self) -> str:
        return self.domain


class FormerMember(OwnedRow):
    """Somebody who has left an organization, or was never to get in: only people bring them back, never a domain.

    The address is kept beside the account, for whoever gives the account another one and begins anew with the old.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+", verbose_name=_("user"))
    address = models.CharField(_("e-mail"), max_length=254)  # as apps.orgs.domains.plain_address has it
    left_at = models.DateTimeField(_("left at"), default=now, editable=False)

    class Meta:
        verbose_name = _("former member")
        verbose_name_plural = _("former members")
        constraints = [
            models.UniqueConstraint(fields=["organization", "user", "address"], name="orgs_formermember_once")
        ]

    def __str__(self) -> str:
        return self.address


class SignInLink(Row):
    """A link that signs its user in, once. Its secret is in the link only; we keep a digest."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+", verbose_name=_("user"))
    digest = models.BinaryField(max_length=32, unique=True)  # SHA-256
    created_at = models.DateTimeField(default=now, editable=False)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("sign-in link")
        verbose_name_plural = _("sign-in links")


def tenant_models(models_: Iterable[type[models.Model]]) -> list[type[models.Model]]:
    """Those of `models_` whose rows carry an organization."""
    return [model for model in models_ if issubclass(model, OwnedRow | SharedRow)]
