"""The children's logs: bounded on disk, and their warnings and errors passed on to the terminal."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

_LIMIT_BYTES = 16 * 1024 * 1024
_LINES_AT_ONCE = 6
_LOUD = {"warning", "error", "critical"}
_PLAIN = re.compile(
    r"^(?:WARNING|ERROR|CRITICAL):\s+(?P<uvicorn>.*)"
    r"|^\[[^\]]*: (?:WARNING|ERROR|CRITICAL)/[^\]]*\]\s+(?P<celery>.*)"
    # PostgreSQL calls it fatal, too, when it asks clients to wait or to go while it starts or stops.
    r"|.*\b(?P<postgres>(?:FATAL:(?!\s+the database system is|\s+terminating connection)|PANIC:).*)"
)
_QUIET_KEYS = {"event", "level", "timestamp", "logger", "exception", "stack"}


class LogTail:
    """Follows one log file from where it ends now. The child appends to it by itself; we only read, and cut it when it is long."""

    def __init__(self, path: Path, limit: int = _LIMIT_BYTES) -> None:
        """`limit`: bytes after which the file is cut."""
        self._path, self._limit = path, limit
        self._offset = path.stat().st_size if path.exists() else 0
        self._rest = b""

    def loud_lines(self) -> Iterator[str]:
        """New warnings and errors, a handful at most; then how many more there are in the file."""
        found = [said for line in self._new_lines() if (said := loud(line))]
        yield from found[:_LINES_AT_ONCE]
        if len(found) > _LINES_AT_ONCE:
            yield f"… and {len(found) - _LINES_AT_ONCE} more in {self._path}"

    def _new_lines(self) -> list[str]:
        try:
            size = self._path.stat().st_size
            if size < self._offset:  # begun afresh
                self._offset, self._rest = 0, b""
            if size == self._offset:
                return []
            with self._path.open("rb") as source:
                source.seek(self._offset)
                data = self._rest + source.read(self._limit)
                self._offset = source.tell()
        except OSError:
            return []
        *lines, self._rest = data.split(b"\n")
        if self._offset > self._limit:
            self._cut()
        return [line.decode(errors="replace") for line in lines]

    def _cut(self) -> None:
        """Keep the text as `.1` and go on in an empty file, which is the same one: its writer appends, so it follows."""
        shutil.copyfile(self._path, self._path.with_suffix(".log.1"))
        with self._path.open("r+b") as target:
            target.truncate(0)
        self._offset = 0


def loud(line: str) -> str | None:
    """What a log line says if it is a warning or worse, in one short line; None otherwise."""
    if line.startswith("{"):
        try:
            entry = json.loads(line)
        except ValueError:
            return None
        if not isinstance(entry, dict) or entry.get("level") not in _LOUD:
            return None
        details = " ".join(f"{key}={value}" for key, value in entry.items() if key not in _QUIET_KEYS)
        cause = str(entry.get("exception", "")).strip().rpartition("\n")[2]
        return " ".join(f"{entry.get('event', '')} {details} {cause}".split())[:500]
    match = _PLAIN.match(line)
    return next(filter(None, match.groups()), None) if match else None
