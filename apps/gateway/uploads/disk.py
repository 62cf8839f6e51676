"""Where uploads lie while they are under way: files without a name, which end with whatever holds them.

The event loop never waits for the disk: reads and writes of a bounded size are made by threads of their own.
"""

import asyncio
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO, Any

from apps.core.errors import UploadsUnavailable
from apps.core.logs import get_logger

log = get_logger(__name__)

PIECE = 64 * 1024  # bytes that are written or read at once
_THREADS = 4


class UploadDisk:
    """A folder, and how much of it this process may take."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder = folder
        self._most = most
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="upload")
        self.taken = 0  # bytes

    def stop(self) -> None:
        """No more reading or writing."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def submit[T](self, work: Callable[[], T]) -> Future[T]:
        """Have a thread do it."""
        return self._threads.submit(work)

    async def done[T](self, working: Future[T]) -> T:
        """What came of it. Raises UploadsUnavailable if the disk failed it."""
        try:
            return await asyncio.wrap_future(working)
        except OSError as exc:
            log.error("upload_disk_failed", why=exc.strerror or str(exc), folder=str(self._folder))
            raise UploadsUnavailable from exc

    async def run[T](self, work: Callable[[], T]) -> T:
        """Both."""
        return await self.done(self.submit(work))

    def take(self, size: int) -> None:
        """So many bytes more are about to be written. Raises UploadsUnavailable."""
        if self.taken + size > self._most:
            raise UploadsUnavailable
        self.taken += size

    def give(self, size: int) -> None:
        """They are gone again."""
        self.taken -= size

    def open(self) -> IO[bytes]:
        """A new file that nothing but this handle leads to. Call it in a thread."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=self._folder, buffering=0)


class UploadFile:
    """One upload's bytes. What has not filled a piece yet is in memory, the rest on disk."""

    __slots__ = ("_disk", "_file", "_pending", "_working", "_written", "size")

    def __init__(self, disk: UploadDisk) -> None:
        self._disk = disk
        self._file: IO[bytes] | None = None
        self._working: Future[Any] | None = None  # what a thread does with the file at this moment
        self._pending = bytearray()
        self._written = 0
        self.size = 0

    def append(self, piece: bytes) -> None:
        """Add bytes; call `flush` soon after."""
        self._pending += piece
        self.size += len(piece)

    async def flush(self) -> None:
        """Write what is pending, as far as it fills pieces. Raises UploadsUnavailable."""
        while len(self._pending) >= PIECE:
            piece, at = bytes(self._pending[:PIECE]), self._written
            file = self._file
            if file is None:
                self._working = opening = self._disk.submit(self._disk.open)
                file = self._file = await self._disk.done(opening)
            self._disk.take(PIECE)
            self._written += PIECE
            await self._work(partial(_write_all, file.fileno(), piece, at))
            del self._pending[:PIECE]

    async def read(self, start: int, size: int) -> bytes:
        """So many bytes from there, fewer at the end. Raises UploadsUnavailable."""
        found = b""
        if self._file is not None and start < self._written:
            found = await self._work(partial(_read_all, self._file.fileno(), min(size, self._written - start), start))
        if len(found) < size:
            inside = start + len(found) - self._written
            found += bytes(self._pending[inside : inside + size - len(found)])
        return found

    def close(self) -> None:
        """Give the room back."""
        self._disk.give(self._written)
        self._written = 0
        self._pending.clear()
        file, self._file = self._file, None
        working, self._working = self._working, None
        if working is not None:
            # A thread may be about to use the file by its number, which another file must not have by then.
            working.add_done_callback(partial(_close, file=file))  # at once, if it is done

    async def _work[T](self, work: Callable[[], T]) -> T:
        self._working = working = self._disk.submit(work)
        return await self._disk.done(working)


def _close(done: Future[Any], *, file: IO[bytes] | None) -> None:
    """Close the file, which may have been opened by what is done now."""
    if file is None and not done.cancelled() and done.exception() is None:
        file = done.result()
    if file is not None:
        file.close()


def _write_all(handle: int, data: bytes, at: int) -> None:
    done = 0
    while done < len(data):
        done += os.pwrite(handle, memoryview(data)[done:], at + done)


def _read_all(handle: int, size: int, at: int) -> bytes:
    pieces = []
    while size > 0 and (piece := os.pread(handle, size, at)):
        pieces.append(piece)
        at, size = at + len(piece), size - len(piece)
    return b"".join(pieces)
