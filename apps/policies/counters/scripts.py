"""The scripts by name, with the digest the store knows each by. Pure; no Django."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).with_name("lua")


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script; its file says what it takes and answers."""

    name: str
    source: str
    sha: str


def _load(name: str) -> Script:
    source = (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")
    # The store's name for a script; nothing is protected by it.
    return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


ADMIT = _load("admit")
SETTLE = _load("settle")
EXPIRE = _load("expire")
BEAT = _load("beat")
HOLD_AGAIN = _load("hold_again")
HOLD_MORE = _load("hold_more")
REBUILD_BEGIN = _load("rebuild_begin")
REBUILD_END = _load("rebuild_end")
SPEND_EXPIRED = _load("spend_expired")
ALL = (ADMIT, SETTLE, EXPIRE, BEAT, HOLD_AGAIN, HOLD_MORE, REBUILD_BEGIN, REBUILD_END, SPEND_EXPIRED)
