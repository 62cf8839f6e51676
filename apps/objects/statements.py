"""What the data plane asks and writes of objects, as SQL with named parameters. No Django.

Ids of ours are UUIDs; `kind` and ids of providers are texts. Whatever a statement is for, it names the service that asks.
"""

from typing import LiteralString

# Objects of a JSON array, a row for each: in one statement for all that are waiting. What is there already stays its owner's: no
# provider gives an id twice.
INSERT: LiteralString = """
INSERT INTO objects_ownedobject (
    id, organization_id, service_id, token_id, credential_id, kind, upstream_id, model, facts, items, end_user, tags, created_at,
    awaited, checked_at
)
SELECT id, organization_id, service_id, token_id, credential_id, kind, upstream_id, model, facts, items, end_user, tags, now(),
       awaited, now()
FROM json_to_recordset(%(rows)s::json) AS made (
    id uuid, organization_id uuid, service_id uuid, token_id uuid, credential_id uuid, kind text, upstream_id text, model text,
    facts jsonb, items text[], end_user text, tags text[], awaited boolean
)
ON CONFLICT (upstream_id, kind, credential_id) DO NOTHING
"""

_COLUMNS: LiteralString = """
o.id, o.organization_id, o.service_id, o.token_id, o.credential_id, o.kind, o.upstream_id, o.model, o.facts, o.awaited, o.end_user,
o.tags, o.checked_at
"""
# A provider's file may end by itself. CASE, as what is no number must not be converted to one.
_LIVE: LiteralString = """
o.service_id = %(service)s AND o.deleted_at IS NULL AND NOT (o.kind = 'file' AND CASE
    WHEN jsonb_typeof(o.facts -> 'expires_at') = 'number' THEN (o.facts ->> 'expires_at')::numeric <= extract(epoch FROM now())
    ELSE false END)
"""

# Rows of the columns above: the service's own objects of that kind with these ids of providers.
FIND: LiteralString = f"""
SELECT {_COLUMNS} FROM objects_ownedobject AS o
WHERE o.kind = %(kind)s AND o.upstream_id = ANY(%(ids)s::text[]) AND {_LIVE}
"""
# Rows (item, credential): the credentials of the service's own responses whose output has these items.
FIND_ITEMS: LiteralString = """
SELECT item, o.credential_id FROM objects_ownedobject AS o, unnest(%(ids)s::text[]) AS item
WHERE o.items @> ARRAY[item] AND o.items <> '{}' AND o.service_id = %(service)s AND o.deleted_at IS NULL
"""

# A page of the service's own, `order` newest or oldest first, after the object with the provider's id `after`; one more than
# `most`, so that it is known whether there are more. `purpose` empty: any.
_LIST: LiteralString = f"""
SELECT {_COLUMNS} FROM objects_ownedobject AS o
WHERE o.kind = %(kind)s AND (%(purpose)s = '' OR o.facts ->> 'purpose' = %(purpose)s) AND {_LIVE}
  AND (%(after)s = '' OR o.id %(comparison)s (
      SELECT a.id FROM objects_ownedobject AS a
      WHERE a.service_id = %(service)s AND a.kind = %(kind)s AND a.upstream_id = %(after)s LIMIT 1
  ))
ORDER BY o.id %(order)s LIMIT %(most)s + 1
"""
NEWEST: LiteralString = _LIST.replace("%(comparison)s", "<").replace("%(order)s", "DESC")
OLDEST: LiteralString = _LIST.replace("%(comparison)s", ">").replace("%(order)s", "ASC")

# What the provider shows of it now.
NOTE: LiteralString = "UPDATE objects_ownedobject SET facts = %(facts)s::jsonb, checked_at = now() WHERE id = %(id)s"
# What a response's output consists of, now that it is over and paid for.
NOTE_ITEMS: LiteralString = """
UPDATE objects_ownedobject SET items = %(items)s::text[], awaited = false
WHERE upstream_id = %(upstream_id)s AND kind = 'response' AND credential_id = %(credential)s AND service_id = %(service)s
"""
DELETE: LiteralString = (
    "UPDATE objects_ownedobject SET deleted_at = now(), facts = '{}', items = '{}' WHERE id = %(id)s"
)

# Those that are still to be paid and have not been asked for lately: taken for this process, until the next time.
AWAITED: LiteralString = f"""
UPDATE objects_ownedobject AS o SET checked_at = now()
FROM (
    SELECT id FROM objects_ownedobject WHERE awaited AND checked_at < now() - make_interval(secs => %(every)s)
    ORDER BY checked_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
) AS due
WHERE o.id = due.id RETURNING {_COLUMNS}
"""
# The one who may record what it cost: a row if it is us. `record_id` stays what it was chosen to be first.
CLAIM: LiteralString = """
UPDATE objects_ownedobject AS o
SET record_id = COALESCE(o.record_id, %(record_id)s), claimed_until = now() + interval '60 seconds'
FROM services_token AS t
WHERE o.id = %(id)s AND o.awaited AND (o.claimed_until IS NULL OR o.claimed_until < now()) AND t.id = o.token_id
RETURNING o.record_id, t.digest
"""
PAID: LiteralString = "UPDATE objects_ownedobject SET awaited = false, claimed_until = NULL WHERE id = %(id)s"
