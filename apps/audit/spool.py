"""The spool: where a record is safe before its answer ends, and until PostgreSQL has it.

    SPOOL_DIR/
      20261121T030918-4711-9f2c31aa/   one folder per process, named by start, process id and chance
        lock                           flock'ed while the process lives, however it ends
        000000000001.frames            segments, oldest first; each is removed once PostgreSQL has all of it
      rejected/2026-11-21.jsonl        what PostgreSQL refused, with the reason (apps.audit.rejected)

A record is appended by one unbuffered write: once that returns the kernel has the bytes, and `kill -9` of any process
loses nothing. They are not forced to the disk, so a machine that loses power may lose its last moments. A folder whose
lock nobody holds belongs to a dead process; whoever takes the lock delivers the rest and removes the folder. Where in a
segment delivery had arrived is kept in memory alone: delivering twice is harmless, since the table ignores an id it
has.

Everything here is synchronous and for one thread, the event loop's. No Django.
"""

import errno
import fcntl
import os
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from apps.audit.frames import MAX_PAYLOAD_BYTES, check_frames, encode_frame

SEGMENT_BYTES = 4 << 20
VERIFY_BYTES = 256 << 10  # are verified at a time: about a millisecond, in which the event loop answers nobody
ALARM_LEVEL = 0.8  # of max_bytes

REJECTED = "rejected"
_LOCK = "lock"
_SUFFIX = ".frames"


class SpoolFull(Exception):
    """The record was not kept: the spool is at its cap, or the file system took no more. Earlier ones are unharmed."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some records to deliver: whole frames from one segment, and what was found between them."""

    lines: bytes
    records: int
    span: int  # bytes of the segment that are settled with this batch
    damaged: tuple[bytes, ...] = ()
    torn_bytes: int = 0  # at the end of a dead process's segment: a record whose append never returned


@dataclass(slots=True, eq=False)
class _Segment:
    """A file of frames, delivered from its start."""

    path: Path
    fd: int
    size: int = 0  # bytes of whole frames
    records: int = 0  # not yet delivered
    offset: int = 0  # delivered up to here

    def take(self, *, max_records: int, max_bytes: int, verify: bool, closed: bool) -> Batch | None:
        """The frames behind the offset, at least one if there is any. Raises OSError when the file cannot be read."""
        if self.offset >= self.size:
            return None
        if self.fd < 0:  # never the file being written, which may be read through its own descriptor
            self.fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        most = min(max_bytes, VERIFY_BYTES) if verify else max_bytes
        data = os.pread(self.fd, min(most, self.size - self.offset), self.offset)
        if b"\n" not in data:  # a frame longer than the batch, or the torn end
            data = os.pread(self.fd, min(2 * MAX_PAYLOAD_BYTES, self.size - self.offset), self.offset)
        end = data.rfind(b"\n") + 1
        if not end:
            return _torn(data) if closed else None
        whole = self.offset + end == self.size and not verify
        return _cut(data[:end], self.records if whole else data.count(b"\n"), max_records, verify=verify)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def remove(self) -> None:
        self.close()
        self.path.unlink(missing_ok=True)


def _torn(data: bytes) -> Batch:
    """The end of a segment that ends without a line feed: perhaps a whole frame all the same."""
    checked = check_frames(data + b"\n")
    return Batch(checked.lines, checked.records, len(data), torn_bytes=sum(map(len, checked.damaged)))


def _cut(data: bytes, records: int, max_records: int, *, verify: bool) -> Batch:
    """So many complete lines as a batch of at most `max_records`."""
    if records > max_records:
        end = 0
        for _ in range(max_records):
            end = data.index(b"\n", end) + 1
        data, records = data[:end], max_records
    if not verify:
        return Batch(data, records, len(data))
    checked = check_frames(data)
    return Batch(checked.lines, checked.records, len(data), checked.damaged)


class Spool:
    """This process's own spool below `root`: the gateway appends, its flusher reads and advances.

    `max_bytes` bounds what waits for delivery, per process; on disk there may be one segment more. `writes` counts
    system calls that wrote records, for the promise that a record costs one. Raises OSError if `root` cannot be made or
    written.
    """

    def __init__(self, root: Path, *, max_bytes: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.root = root
        self.max_bytes = max_bytes
        self.pending_records = 0
        self.pending_bytes = 0
        self.appended_total = 0
        self.delivered_total = 0
        self.refused_total = 0
        self.writes = 0
        self.failing = False  # the file system refused the last record: a full disk, most likely; the next write tells
        # Called when the first record arrives in an empty spool: how the flusher wakes without looking.
        self.on_pending: Callable[[], None] | None = None
        self._segment_bytes = segment_bytes
        self._number = 0
        self._broken = False  # the segment ends in a frame that could be neither completed nor cut off
        self._marks: deque[tuple[int, float]] = deque()  # see _mark and oldest_pending_at
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder, self._lock = _new_folder(root)
        self._current = self._open_segment()
        self._segments = deque([self._current])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def append(self, payload: bytes) -> None:
        """Keep one record: a JSON object, keys being RequestRecord's columns. Safe from `kill -9` once this returns.

        Raises SpoolFull when it was not kept, ValueError for a payload beyond frames.MAX_PAYLOAD_BYTES.
        """
        frame = encode_frame(payload)
        size = len(frame)
        if self.pending_bytes + size > self.max_bytes:
            self.refused_total += 1
            raise SpoolFull(
                f"the spool holds {self.pending_bytes} of at most {self.max_bytes} bytes (SPOOL_MAX_BYTES): "
                "bring PostgreSQL back, or raise the cap"
            )
        segment = self._current
        if self._broken or (segment.size + size > self._segment_bytes and segment.size):
            segment = self._rotate()
        try:
            written = os.write(segment.fd, frame)
        except OSError as error:
            self.refused_total += 1
            self.failing = True
            self._cut_back()
            raise SpoolFull(_refusal(self.folder, error)) from error
        self.writes += 1
        if written != size:
            self.refused_total += 1
            self.failing = True
            self._cut_back()
            raise SpoolFull(_refusal(self.folder, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
        self.failing = False
        segment.size += size
        segment.records += 1
        self.pending_bytes += size
        self.appended_total += 1
        self.pending_records += 1
        if self.pending_records == 1:
            self._mark(self.appended_total - 1)
            if self.on_pending is not None:
                self.on_pending()

    def probe(self) -> None:
        """Find out, after a failure, whether the file system takes writes again: while none come, nothing else would."""
        page = self.folder / "probe"
        try:
            page.write_bytes(bytes(4096))
            self.failing = False
        except OSError:
            self.failing = True
        with suppress(OSError):
            page.unlink()

    def read(self, *, max_records: int, max_bytes: int) -> Batch | None:
        """The oldest records not yet delivered, in order; None when there is none. The same again until `advance`.

        Raises OSError when a segment cannot be read; `drop_unreadable` then gives it up.
        """
        while True:
            segment = self._segments[0]
            writing = segment is self._current
            # The open segment is in the kernel's memory as this process wrote it and needs no proof.
            # An older one may have been to the disk and back.
            batch = segment.take(max_records=max_records, max_bytes=max_bytes, verify=not writing, closed=not writing)
            if batch is not None:
                if writing and segment.offset + batch.span == segment.size:
                    self._mark(self.appended_total)
                return batch
            if writing:
                return None
            self._finish(segment)

    def advance(self, batch: Batch) -> None:
        """PostgreSQL (or the file of rejected records) has this batch, the one last read."""
        segment = self._segments[0]
        segment.offset += batch.span
        segment.records -= batch.records
        self.pending_bytes -= batch.span
        self._deliver(batch.records)
        if segment is not self._current and segment.offset >= segment.size:
            self._finish(segment)

    def drop_unreadable(self) -> int:
        """Give up the oldest segment, whose file has gone or cannot be read. Returns how many records are lost."""
        segment = self._segments[0]
        lost = segment.records
        if segment is self._current and self._rotate() is segment:
            return 0  # no other file to write to: stay with this one, and try again later
        self._finish(segment)
        return lost

    @property
    def oldest_pending_at(self) -> float | None:
        """When the oldest waiting record was appended (Unix seconds, never later than the truth). None: none waits."""
        return self._marks[0][1] if self.pending_records else None

    @property
    def nearly_full(self) -> bool:
        """Whether the alarm level, four fifths of the cap, has been reached."""
        return self.pending_bytes >= ALARM_LEVEL * self.max_bytes

    def close(self) -> None:
        """Give the folder up: removed if everything was delivered, otherwise left for another process to adopt."""
        if self._lock < 0:
            return
        if self.pending_records:
            for segment in self._segments:
                segment.close()
        else:
            for segment in self._segments:
                segment.remove()
            _remove_folder(self.folder)
        os.close(self._lock)
        self._lock = -1

    def _open_segment(self) -> _Segment:
        self._number += 1
        path = self.folder / f"{self._number:012d}{_SUFFIX}"
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return _Segment(path, os.open(path, flags, 0o600))

    def _rotate(self) -> _Segment:
        """Start another segment. If the file system gives none, an unbroken one goes on growing.

        Raises SpoolFull if the current one is broken as well.
        """
        try:
            fresh = self._open_segment()
        except OSError as error:
            if self._broken:
                self.refused_total += 1
                self.failing = True
                raise SpoolFull(_refusal(self.folder, error)) from error
            return self._current
        if self._current.offset < self._current.size:
            self._current.close()  # reopened when its turn comes: a long outage must not hold hundreds of descriptors
        else:
            self._current.remove()
            self._segments.remove(self._current)
        self._current = fresh
        self._segments.append(fresh)
        self._broken = False
        self._mark(self.appended_total)
        return fresh

    def _cut_back(self) -> None:
        """Take a frame written in part away, so that the next one starts on a line of its own."""
        try:
            os.ftruncate(self._current.fd, self._current.size)
        except OSError:
            self._broken = True

    def _finish(self, segment: _Segment) -> None:
        self.pending_bytes -= segment.size - segment.offset
        self._deliver(segment.records)  # what damage made of them is not coming any more
        segment.records = 0
        segment.remove()
        self._segments.popleft()

    def _deliver(self, records: int) -> None:
        self.pending_records -= records
        self.delivered_total += records
        while len(self._marks) > 1 and self._marks[1][0] <= self.delivered_total:
            self._marks.popleft()

    def _mark(self, before: int) -> None:
        """Remember that every record but the first `before` is younger than now."""
        if self._marks and self._marks[-1][0] >= before:
            self._marks.pop()
        self._marks.append((before, time.time()))


class Orphan:
    """The spool of a process that died, held by its lock. Release or finish it."""

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder = folder
        self._lock = lock
        paths = sorted(folder.glob(f"*{_SUFFIX}"))
        self._segments = deque(_Segment(path, -1, size=path.stat().st_size) for path in paths)

    def read(self, *, max_records: int, max_bytes: int) -> Batch | None:
        """Like Spool.read; every frame is verified, and a torn end is reported."""
        while self._segments:
            segment = self._segments[0]
            batch = segment.take(max_records=max_records, max_bytes=max_bytes, verify=True, closed=True)
            if batch is not None:
                return batch
            segment.remove()
            self._segments.popleft()
        return None

    def advance(self, batch: Batch) -> None:
        """This batch has been delivered."""
        self._segments[0].offset += batch.span

    def finish(self) -> None:
        """Remove the folder: all of it has been delivered."""
        _remove_folder(self.folder)
        self.release()

    def release(self) -> None:
        """Let go of the folder, delivered or not; what is left there can be adopted again."""
        for segment in self._segments:
            segment.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def orphans(root: Path) -> Iterator[Orphan]:
    """Adopt the folders below `root` that no living process holds; each is locked when it is handed out, not before."""
    with suppress(FileNotFoundError):
        for folder in sorted(root.iterdir()):
            if folder.name != REJECTED and folder.is_dir() and (lock := _hold(folder)) is not None:
                yield Orphan(folder, lock)


def _new_folder(root: Path) -> tuple[Path, int]:
    """A folder of our own, locked."""
    while True:
        folder = root / f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.getpid()}-{secrets.token_hex(4)}"
        folder.mkdir(mode=0o700)
        # Somebody looking for orphans may come between the two lines, take the empty folder for one and remove it.
        if (lock := _hold(folder)) is not None:
            return folder, lock


def _hold(folder: Path) -> int | None:
    """Lock a folder for as long as the descriptor lives; None if somebody has it, or has removed it."""
    path = folder / _LOCK
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # removed just now, or another user's
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), path.stat()):  # the file may have been removed before we had its lock
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(lock)
    return None


def _remove_folder(folder: Path) -> None:
    """Remove a delivered folder whose lock we hold. Foreign files in it stay, and the folder with them."""
    (folder / _LOCK).unlink(missing_ok=True)
    with suppress(OSError):  # somebody has just opened the lock anew: they will find it empty and remove it
        folder.rmdir()


def _refusal(folder: Path, error: OSError) -> str:
    return (
        f"the spool in {folder.parent} (SPOOL_DIR) cannot be written: {error.strerror}; "
        "free space there, or mend the disk"
    )
