"""What the API remembers of creates that a client may repeat."""

from django.db import models
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from apps.core.sealing import Place
from apps.orgs.models import SharedRow


class KeptAnswer(SharedRow):
    """The answer to a create that bore an `Idempotency-Key`: given again to whoever repeats it. Sealed, as it may hold a token."""

    holder = models.CharField(max_length=64)  # who asked: key:… or user:…
    key = models.CharField(max_length=255)
    fingerprint = models.BinaryField(max_length=32)  # SHA-256 of the request
    sealed_answer = models.BinaryField(null=True)
    created_at = models.DateTimeField(default=now, db_index=True)

    class Meta:
        verbose_name = _("kept answer")
        verbose_name_plural = _("kept answers")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "holder", "key"], name="api_keptanswer_once", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return self.key

    def answer_place(self) -> Place:
        """What the answer is sealed for: this row of this organization."""
        return Place("api_keptanswer", self.pk, "sealed_answer", self.organization_id)
