from django.db import migrations

from apps.core.isolation import make_roles


class Migration(migrations.Migration):
    dependencies = [
        ("core", "0002_note_which_row"),
    ]

    operations = [
        make_roles(),
    ]
