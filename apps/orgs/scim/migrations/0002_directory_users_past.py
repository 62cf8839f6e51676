from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("scim", "0001_directory")]

    operations = [
        migrations.AddField(
            model_name="directoryuser",
            name="switched_off",
            field=models.BooleanField(db_default=False, default=False, verbose_name="account switched off"),
        ),
        migrations.AddField(
            model_name="directoryuser",
            name="forgotten",
            field=models.BooleanField(db_default=False, default=False, verbose_name="deleted by the directory"),
        ),
        # Which they were, of those who are off now, cannot be told any more: as it was until now, the directory's.
        migrations.RunSQL(
            "UPDATE scim_directoryuser SET switched_off = true WHERE provisioned AND NOT active", migrations.RunSQL.noop
        ),
    ]
