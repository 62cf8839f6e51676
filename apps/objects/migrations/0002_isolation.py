from django.db import migrations

from apps.core.isolation import isolate


class Migration(migrations.Migration):
    dependencies = [
        ("objects", "0001_initial"),
        ("core", "0003_roles"),
    ]

    operations = [
        isolate("objects_ownedobject"),
    ]
