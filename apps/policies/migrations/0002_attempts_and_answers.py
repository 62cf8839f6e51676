import django.contrib.postgres.fields
import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("policies", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="policy",
            name="fallback_on",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=255),
                blank=True,
                default=list,
                help_text="Refusals after which the next route is tried: content_filter, context_length.",
                size=None,
                verbose_name="next route after",
            ),
        ),
        migrations.AddField(
            model_name="policy",
            name="hedge_after",
            field=models.BigIntegerField(
                blank=True,
                help_text="Without a first byte for so long, a second route is asked as well. 0: never. Both are charged.",
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(0),
                    django.core.validators.MaxValueValidator(1000000000),
                ],
                verbose_name="second attempt after (ms)",
            ),
        ),
        migrations.AddField(
            model_name="policy",
            name="hide_served",
            field=models.BooleanField(blank=True, null=True, verbose_name="hide what served"),
        ),
        migrations.AddField(
            model_name="policy",
            name="untranslatable",
            field=models.CharField(
                blank=True,
                choices=[
                    ("strict", "refuse the call, naming the field"),
                    ("warn", "leave them out, and say so in the answer's headers"),
                    ("drop", "leave them out"),
                ],
                max_length=16,
                verbose_name="untranslatable fields",
            ),
        ),
        migrations.AddConstraint(
            model_name="policy",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("hedge_after__isnull", True), ("hedge_after__range", (0, 1000000000)), _connector="OR"
                ),
                name="policies_policy_hedge_after",
            ),
        ),
        migrations.AddConstraint(
            model_name="policy",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("untranslatable", ""), ("untranslatable__in", ["strict", "warn", "drop"]), _connector="OR"
                ),
                name="policies_policy_untranslatable",
            ),
        ),
    ]
