from django.db import migrations

# Organizations' people see their own records alone: without these, PostgreSQL looks through everybody's for the models that theirs
# asked for, and through all of theirs for the few that failed, or have a flag or a tag. (It finds no array by what is in it before
# it knows whose the row is, as the operator is not leakproof.)
INDEXES = """
CREATE INDEX audit_record_organization_model ON audit_requestrecord (organization_id, model_asked, id DESC);
CREATE INDEX audit_record_organization_failed ON audit_requestrecord (organization_id, id DESC) WHERE status >= 400;
CREATE INDEX audit_record_organization_flagged ON audit_requestrecord (organization_id, id DESC) WHERE flags <> '{}';
CREATE INDEX audit_record_organization_tagged ON audit_requestrecord (organization_id, id DESC) WHERE tags <> '{}';
"""
REVERSE = """
DROP INDEX audit_record_organization_model;
DROP INDEX audit_record_organization_failed;
DROP INDEX audit_record_organization_flagged;
DROP INDEX audit_record_organization_tagged;
"""


class Migration(migrations.Migration):
    """Keep an organization's records quick to filter, however many the others have."""

    dependencies = [("audit", "0005_events_at_the_door")]

    operations = [migrations.RunSQL(INDEXES, REVERSE)]
