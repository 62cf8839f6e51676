"""What a company's directory has told of an organization's people: accounts, groups, and the tokens that it calls with."""

from django.db import models
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from apps.orgs.models import OwnedRow, Role, User

PREFIX = "tg_scim_"


class DirectoryToken(OwnedRow):
    """What the directory calls with. Its plaintext was shown once; we keep a digest."""

    name = models.CharField(_("name"), max_length=100, help_text=_("Such as the directory's: Okta, Entra."))
    digest = models.BinaryField(max_length=32, unique=True, editable=False)  # SHA-256
    hint = models.CharField(_("token ends in"), max_length=4, editable=False)
    created_at = models.DateTimeField(_("created at"), default=now, editable=False)
    created_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, related_name="+", verbose_name=_("created by"), editable=False
    )
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True, editable=False)  # to the minute
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("directory token")
        verbose_name_plural = _("directory tokens")
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.name} ({self.masked})"

    @property
    def masked(self) -> str:
        """How it is shown ever after: `tg_scim_…wxyz`."""
        return f"{PREFIX}…{self.hint}"


class DirectoryUser(OwnedRow):
    """What the directory says of one user. Those of whom it has said nothing are members like others."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="directory_users", verbose_name=_("user"))
    external_id = models.CharField(_("id in the directory"), max_length=255, blank=True)
    active = models.BooleanField(_("active"), default=True)
    # Made for this directory: it may rename the account, and switch it off as long as it belongs nowhere else.
    provisioned = models.BooleanField(_("made by the directory"), default=False)
    # By the directory, which may then switch it on again. Whom somebody else has switched off, it may not.
    switched_off = models.BooleanField(_("account switched off"), default=False, db_default=False)
    # Deleted there: it is none of the directory's users any more, until it creates the user again.
    forgotten = models.BooleanField(_("deleted by the directory"), default=False, db_default=False)
    role_given = models.CharField(_("role given by groups"), max_length=16, blank=True, choices=Role)
    created_at = models.DateTimeField(_("created at"), default=now, editable=False)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("directory user")
        verbose_name_plural = _("directory users")
        constraints = [
            models.UniqueConstraint(fields=["organization", "user"], name="scim_directoryuser_once"),
            models.UniqueConstraint(
                fields=["organization", "external_id"],
                condition=~models.Q(external_id=""),
                name="scim_directoryuser_external_id",
            ),
        ]

    def __str__(self) -> str:
        return str(self.user)


class DirectoryGroup(OwnedRow):
    """A group of the directory's, and the role that its members get."""

    display_name = models.CharField(_("name"), max_length=255)
    external_id = models.CharField(_("id in the directory"), max_length=255, blank=True)
    role = models.CharField(
        _("role"),
        max_length=16,
        blank=True,
        choices=[choice for choice in Role.choices if choice[0] != Role.OWNER],
        help_text=_("What its members are. Empty: the group changes no role. Owners are made by owners."),
    )
    members = models.ManyToManyField(User, through="DirectoryGroupMember", related_name="+", verbose_name=_("members"))
    created_at = models.DateTimeField(_("created at"), default=now, editable=False)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("directory group")
        verbose_name_plural = _("directory groups")
        ordering = ("display_name",)
        constraints = [
            models.UniqueConstraint(fields=["organization", "display_name"], name="scim_directorygroup_once"),
            models.CheckConstraint(
                condition=models.Q(role__in=["", *(role for role in Role.values if role != Role.OWNER)]),
                name="scim_directorygroup_role",
            ),
        ]

    def __str__(self) -> str:
        return self.display_name


class DirectoryGroupMember(OwnedRow):
    """One user in one group."""

    group = models.ForeignKey(DirectoryGroup, on_delete=models.CASCADE, related_name="+", verbose_name=_("group"))
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+", verbose_name=_("user"))

    class Meta:
        verbose_name = _("member of a directory group")
        verbose_name_plural = _("members of directory groups")
        constraints = [models.UniqueConstraint(fields=["group", "user"], name="scim_directorygroupmember_once")]

    def __str__(self) -> str:
        return f"{self.user} · {self.group}"
