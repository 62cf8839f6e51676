"""What the store's keys are called. Pure; no Django."""

import hashlib
import zlib
from uuid import UUID

LEASE = "tg:lease"
HOLD = "tg:hold"
EXPIRED = "tg:expired"
PROCS = "tg:procs"
SINCE = "tg:since"
REBUILD = "tg:rebuild"


def acks(rebuild: str) -> str:
    """The processes that have brought a rebuild all they know."""
    return f"tg:acks:{rebuild}"


def client_secret(digest: str) -> str:
    """What a client secret of realtime opens, by the SHA-256 of its text."""
    return f"tg:ek:{digest}"


def end_user_subject(end_user: str) -> str:
    """An end user as part of a key: any text, in 32 hexadecimal digits."""
    return hashlib.blake2b(end_user.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def limits(scope: str, subject: str, end_user: str = "") -> str:
    """The limits of a place (`subject`: its hexadecimal id), or of one end user within it."""
    return f"tg:l:{scope[0]}:{subject}:{end_user_subject(end_user)}" if end_user else f"tg:l:{scope[0]}:{subject}"


def budget(budget_id: UUID, window: str, rolling_days: int | None, timezone: str, subject: str = "-") -> str:
    """A budget of one subject. Another window or time zone is another key, built from the ledger like any other."""
    calendar = f"{window}{rolling_days or ''}-{zlib.crc32(timezone.encode()):08x}"
    return f"tg:b:{budget_id.hex}:{calendar}:{subject}"
