from django.db import migrations

from apps.core.tenancy import DOOR_ROLE


class Migration(migrations.Migration):
    """At the door events are written, of whichever organization, and none is read: only what a row got by itself comes back."""

    dependencies = [
        ("audit", "0004_isolation"),
    ]

    operations = [
        migrations.RunSQL(
            f"REVOKE SELECT ON audit_adminevent FROM {DOOR_ROLE};"
            f" GRANT SELECT (id, created_at) ON audit_adminevent TO {DOOR_ROLE};",
            f"REVOKE SELECT (id, created_at) ON audit_adminevent FROM {DOOR_ROLE};"
            f" GRANT SELECT ON audit_adminevent TO {DOOR_ROLE};",
        ),
    ]
