"""SQL for migrations: note every change of a table in `core_change` and wake the data plane."""

from django.db.migrations import RunSQL

CHANNEL = "tollgate_change"

# SECURITY DEFINER: whoever may change a row may thereby note the change, and needs no right on core_change itself.
# xid8 values fit a bigint for the next 9 quintillion transactions.
FUNCTION = f"""
CREATE OR REPLACE FUNCTION core_note_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    ignored text[] := COALESCE(TG_ARGV, '{{}}'); -- NULL where the trigger names none
    before jsonb; after jsonb; row_data jsonb;
BEGIN
    IF TG_OP <> 'TRUNCATE' THEN
        IF TG_OP <> 'INSERT' THEN before := to_jsonb(OLD) - ignored; END IF;
        IF TG_OP <> 'DELETE' THEN after := to_jsonb(NEW) - ignored; END IF;
        IF TG_OP = 'UPDATE' AND before = after THEN RETURN NULL; END IF;
        row_data := COALESCE(after, before);
    END IF;
    INSERT INTO core_change (txid, kind, row_id, organization_id) VALUES (
        pg_current_xact_id()::text::bigint, TG_TABLE_NAME, (row_data ->> 'id')::uuid,
        (CASE WHEN TG_TABLE_NAME = 'orgs_organization' THEN row_data ->> 'id' ELSE row_data ->> 'organization_id' END)::uuid);
    PERFORM pg_notify('{CHANNEL}', '');
    RETURN NULL;
END $$;
"""


def track_changes(table: str, *, ignoring: tuple[str, ...] = ()) -> RunSQL:
    """A migration step that notes inserts, updates, deletes and truncation of `table`; updates of
    `ignoring` columns alone are not noted."""
    arguments = ", ".join(f"'{column}'" for column in ignoring)
    return RunSQL(
        f"CREATE TRIGGER {table}_note_change AFTER INSERT OR UPDATE OR DELETE ON {table}"
        f" FOR EACH ROW EXECUTE FUNCTION core_note_change({arguments});"
        f"CREATE TRIGGER {table}_note_truncate AFTER TRUNCATE ON {table}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION core_note_change();",
        f"DROP TRIGGER {table}_note_change ON {table}; DROP TRIGGER {table}_note_truncate ON {table};",
    )
