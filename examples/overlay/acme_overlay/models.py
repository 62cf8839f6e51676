"""Which plan an organization is on."""

from django.db import models

from apps.orgs.models import OwnedRow


class Tier(models.TextChoices):
    """What can be bought."""

    FREE = "free", "Free"
    TEAM = "team", "Team"


class Plan(OwnedRow):
    """An organization's plan. Every table with an organization is isolated by its migration."""

    tier = models.CharField(max_length=16, choices=Tier, default=Tier.FREE)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization"], name="acme_overlay_plan_once")]

    def __str__(self) -> str:
        return self.get_tier_display()
