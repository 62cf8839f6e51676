import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import apps.core.ids
import apps.orgs.domains
from apps.core.isolation import isolate

# Whoever was removed before there were sign-up domains is not brought back by one either: the admin events know them.
_FORMER = """
INSERT INTO orgs_formermember (id, organization_id, user_id, address, left_at)
SELECT gen_random_uuid(), o.id, u.id, regexp_replace(u.email, '\\+[^@]*@', '@'), max(e.created_at)
FROM audit_adminevent e
JOIN orgs_organization o ON o.id = e.organization_id
JOIN orgs_user u ON u.id::text = e.before ->> 'user_id'
WHERE e.action = 'membership.removed'
GROUP BY o.id, u.id
"""


class Migration(migrations.Migration):
    dependencies = [
        ("orgs", "0004_hosted_credentials"),
        ("audit", "0004_isolation"),
    ]

    operations = [
        migrations.AddField(
            model_name="organization",
            name="sign_up_role",
            field=models.CharField(
                choices=[("member", "member"), ("auditor", "auditor"), ("billing", "billing")],
                db_default="member",
                default="member",
                help_text="Owners and admins are made by hand.",
                max_length=16,
                verbose_name="role of who joins by themselves",
            ),
        ),
        migrations.AddConstraint(
            model_name="organization",
            constraint=models.CheckConstraint(
                condition=models.Q(("sign_up_role__in", ["member", "auditor", "billing"])),
                name="orgs_organization_sign_up_role",
            ),
        ),
        migrations.CreateModel(
            name="SignUpDomain",
            fields=[
                (
                    "id",
                    models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                (
                    "domain",
                    models.CharField(
                        max_length=253,
                        unique=True,
                        validators=[apps.orgs.domains.check_domain],
                        verbose_name="domain",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="created at"),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="sign_up_domains",
                        to="orgs.organization",
                        verbose_name="organization",
                    ),
                ),
            ],
            options={
                "verbose_name": "sign-up domain",
                "verbose_name_plural": "sign-up domains",
                "ordering": ("domain",),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("domain", django.db.models.functions.text.Lower("domain"))),
                        name="orgs_signupdomain_lower",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="FormerMember",
            fields=[
                (
                    "id",
                    models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("address", models.CharField(max_length=254, verbose_name="e-mail")),
                (
                    "left_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="left at"),
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
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "former member",
                "verbose_name_plural": "former members",
                "constraints": [
                    models.UniqueConstraint(fields=("organization", "user", "address"), name="orgs_formermember_once")
                ],
            },
        ),
        isolate("orgs_signupdomain", door="SELECT"),
        isolate("orgs_formermember", members="SELECT, INSERT", staff="SELECT, INSERT", door="SELECT, INSERT"),
        migrations.RunSQL(_FORMER, migrations.RunSQL.noop),
    ]
