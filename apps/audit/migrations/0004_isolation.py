from django.db import migrations

from apps.core.isolation import APPEND, READ, isolate, isolate_by
from apps.core.tenancy import MEMBER_ROLE


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0003_flagged"),
        ("core", "0003_roles"),
    ]

    operations = [
        isolate("audit_requestrecord", members=READ, staff=READ),
        isolate("audit_spend", members=READ, staff=READ),
        isolate("audit_adjustment", members=APPEND, staff=APPEND),
        isolate_by(
            "audit_adminevent",
            [
                ("member", MEMBER_ROLE, "ALL", "organization_id = (SELECT core_organization())"),
                # What people do with their own account concerns no organization; they may note it, and not read it.
                ("own", MEMBER_ROLE, "INSERT", "organization_id IS NULL"),
            ],
            members=APPEND,
            staff=APPEND,
            door=APPEND,
        ),
    ]
