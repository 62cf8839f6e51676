from django.db import migrations


class Migration(migrations.Migration):
    """Find flagged records, of which there are few, without looking at all the others."""

    dependencies = [("audit", "0002_costs")]

    operations = [
        migrations.RunSQL(
            "CREATE INDEX audit_record_flagged ON audit_requestrecord (id DESC) WHERE flags <> '{}'",
            "DROP INDEX audit_record_flagged",
        )
    ]
