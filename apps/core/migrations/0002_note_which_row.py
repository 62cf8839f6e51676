from django.db import migrations

from apps.core.change_tracking import FUNCTION


class Migration(migrations.Migration):
    """Name the row that changed also where a table's trigger ignores no column; until now such a change stood for any row."""

    dependencies = [("core", "0001_initial")]

    operations = [migrations.RunSQL(FUNCTION, migrations.RunSQL.noop)]
