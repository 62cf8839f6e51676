"""Where records go that cannot be delivered: lines of JSON below the spool, for an operator to read and mend."""

import base64
import json
import os
import time
from pathlib import Path
from typing import Any

import orjson

from apps.audit.spool import REJECTED


def reject(root: Path, raw: bytes, *, reason: str, sqlstate: str | None = None) -> Path:
    """Add one record, or the damaged bytes of one, to today's file (UTC) below `root`/rejected and force it to the
    disk.

    Each line has `at`, `reason`, `sqlstate`, and the record as `record`, or its bytes as `base64` if they are no JSON.
    Raises OSError when that cannot be written; the record then still is in the spool.
    """
    folder = root / REJECTED
    folder.mkdir(mode=0o700, exist_ok=True)
    now = time.gmtime()
    entry: dict[str, Any] = {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", now), "reason": reason, "sqlstate": sqlstate}
    path = folder / f"{time.strftime('%Y-%m-%d', now)}.jsonl"
    with path.open("ab", buffering=0) as file:
        file.write(_line(entry, raw))  # one write to a file opened for appending: processes do not cut into each other
        os.fsync(file.fileno())
    path.chmod(0o600)
    return path


def _line(entry: dict[str, Any], raw: bytes) -> bytes:
    try:
        # Spliced, not parsed and written anew: what PostgreSQL refused must stay as it was.
        orjson.loads(raw)
        return json.dumps(entry).encode()[:-1] + b', "record": ' + raw + b"}\n"
    except orjson.JSONDecodeError:
        return json.dumps({**entry, "base64": base64.b64encode(raw).decode()}).encode() + b"\n"
