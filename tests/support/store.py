"""A Valkey of a test's own, which may be flushed, halted, killed and started again, and what calls hold in it.

with PrivateStore() as valkey, GatewayProcess({"REDIS_URL": valkey.url}) as gateway:
    valkey.kill()                                   # as `kill -9` does
    valkey.start()                                  # with its append-only file, as `up` starts it
"""

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import redis

from apps.core.embedded import DataFolder, Embedded


class PrivateStore:
    """One Valkey server. A context manager. To be used from the main thread, which the server follows into death."""

    def __init__(self, *, durable: bool = True) -> None:
        """`durable=False` keeps nothing on disk, so that a restart forgets everything."""
        self._root = Path(tempfile.mkdtemp(prefix="tollgate-store-"))
        self._root.chmod(0o711)  # the server's account passes through
        folder = DataFolder(self._root)
        folder.lock.take("a test")
        self._services = Embedded(folder, ["REDIS_URL"], durable=durable)
        self.url = self._services.servers[0].url
        self.client: redis.Redis = redis.Redis.from_url(self.url, decode_responses=True, socket_timeout=5)

    def __enter__(self) -> Self:
        self._services.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError, IndexError):
            self.go_on()
        self.client.close()
        self._services.stop()
        shutil.rmtree(self._root, ignore_errors=True)

    def start(self) -> None:
        """Start it again, and wait until it answers."""
        (server,) = self._services.servers
        server.wait_ready(self._services.restart(server))

    def kill(self) -> None:
        """SIGKILL: it is gone when this returns."""
        process = self._services.running[0][1]
        process.kill()
        process.wait()

    @property
    def answers(self) -> bool:
        """Whether it is there and speaks."""
        with contextlib.suppress(redis.RedisError):
            return bool(redis.Redis.from_url(self.url, socket_timeout=0.5).ping())
        return False

    def forget(self) -> None:
        """Lose what it keeps on disk: for one that was killed."""
        shutil.rmtree(self._root / "valkey" / "appendonlydir")

    def halt(self) -> None:
        """Let it hang: connections stay open, and nothing is answered."""
        os.kill(self._services.running[0][1].pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """The end of `halt`."""
        os.kill(self._services.running[0][1].pid, signal.SIGCONT)

    def flush(self) -> None:
        """Lose everything, scripts excepted."""
        self.client.flushall()


@contextlib.contextmanager
def read_by_operators(store: PrivateStore, settings: Any) -> Iterator[None]:
    """Let the console's and the commands' side of the counters look into this store; `settings` is pytest-django's."""
    from apps.policies.counters import reading

    before = settings.REDIS_URL
    settings.REDIS_URL = store.url
    reading.store.cache_clear()
    try:
        yield
    finally:
        settings.REDIS_URL = before
        reading.store.cache_clear()
