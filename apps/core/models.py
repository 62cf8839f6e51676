"""What every room's rows share, and the log of changes that the data plane follows."""

from django.db import models
from django.db.models.functions import Now

from apps.core.ids import uuid7


class Row(models.Model):
    """A row with a time-ordered id."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)

    class Meta:
        abstract = True


class Change(models.Model):
    """One committed change of a row that the data plane keeps in memory; written by triggers, whoever made the change.

    `txid` is the writing transaction, so that a reader which remembers the oldest transaction still running at its last look
    misses nothing and needs no lock (apps.gateway.directory.changes). Rows are kept for a day.
    """

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(db_default=Now())
    txid = models.BigIntegerField()
    kind = models.CharField(max_length=63)  # the table
    row_id = models.UUIDField(null=True)  # null: any row of the table, after TRUNCATE
    organization_id = models.UUIDField(null=True)

    class Meta:
        indexes = [models.Index(fields=["txid"]), models.Index(fields=["at"])]

    def __str__(self) -> str:
        return f"{self.kind} {self.row_id or '(any)'}"
