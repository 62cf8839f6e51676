from django.db import migrations

from apps.core.isolation import isolate


class Migration(migrations.Migration):
    dependencies = [
        ("services", "0005_upload_object_and_realtime_scopes"),
        ("core", "0003_roles"),
    ]

    operations = [
        isolate("services_service"),
        isolate("services_token"),
    ]
