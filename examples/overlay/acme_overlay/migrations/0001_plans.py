import django.db.models.deletion
from django.db import migrations, models

import apps.core.ids
from apps.core.isolation import READ, isolate


class Migration(migrations.Migration):
    initial = True
    dependencies = [("orgs", "0004_hosted_credentials")]

    operations = [
        migrations.CreateModel(
            name="Plan",
            fields=[
                (
                    "id",
                    models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                (
                    "tier",
                    models.CharField(choices=[("free", "Free"), ("team", "Team")], default="free", max_length=16),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orgs.organization",
                        verbose_name="organization",
                    ),
                ),
            ],
            options={"constraints": [models.UniqueConstraint(fields=("organization",), name="acme_overlay_plan_once")]},
        ),
        # An organization's people see their plan and no other, and change none.
        isolate("acme_overlay_plan", members=READ),
    ]
