import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import apps.core.ids


class Migration(migrations.Migration):
    dependencies = [
        ("orgs", "0001_initial"),
        ("policies", "0002_attempts_and_answers"),
        ("providers", "0005_credential_refusals"),
    ]

    operations = [
        migrations.AlterField(
            model_name="alertdelivery",
            name="alert",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="deliveries",
                to="policies.budgetalert",
                verbose_name="budget alert",
            ),
        ),
        migrations.AlterField(
            model_name="alertdelivery",
            name="organization",
            field=models.ForeignKey(
                blank=True,
                help_text="Empty: hosted by the installation and offered to every organization.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="orgs.organization",
                verbose_name="organization",
            ),
        ),
        migrations.CreateModel(
            name="CredentialAlert",
            fields=[
                (
                    "id",
                    models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("status", models.PositiveSmallIntegerField(verbose_name="status")),
                ("model", models.CharField(blank=True, max_length=255, verbose_name="model")),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="time"),
                ),
                (
                    "credential",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alerts",
                        to="providers.credential",
                        verbose_name="credential",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        help_text="Empty: hosted by the installation and offered to every organization.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orgs.organization",
                        verbose_name="organization",
                    ),
                ),
            ],
            options={
                "verbose_name": "credential alert",
                "verbose_name_plural": "credential alerts",
                "ordering": ("-id",),
            },
        ),
        migrations.AddField(
            model_name="alertdelivery",
            name="credential_alert",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="deliveries",
                to="policies.credentialalert",
                verbose_name="credential alert",
            ),
        ),
        migrations.AddConstraint(
            model_name="alertdelivery",
            constraint=models.UniqueConstraint(
                fields=("credential_alert", "channel", "target"), name="policies_delivery_of_credential_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="alertdelivery",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("alert__isnull", True), ("credential_alert__isnull", False)),
                    models.Q(("alert__isnull", False), ("credential_alert__isnull", True)),
                    _connector="OR",
                ),
                name="policies_delivery_of_one",
            ),
        ),
    ]
