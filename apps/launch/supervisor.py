"""Watches the processes of `up`: starts again what dies, passes on what they complain about, stops them in order."""

import contextlib
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from apps.core.embedded import ServiceError
from apps.core.embedded.processes import kill_group, last_lines
from apps.launch.logs import LogTail
from apps.launch.terminal import Terminal

_TICK_SECONDS = 0.5
_QUICK_SECONDS = 10.0  # who dies younger than this did not really start
_QUICK_DEATHS = 5
_LONGEST_PAUSE = 10.0
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(slots=True)
class Child:
    """A process that should be running."""

    name: str
    log: Path
    spawn: Callable[[], subprocess.Popen[bytes]]
    patience: float = 30.0  # seconds from the stop signal until it is killed
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    quick_deaths: int = 0
    due_at: float | None = None  # when to start it again
    tail: LogTail = field(init=False)

    def __post_init__(self) -> None:
        self.tail = LogTail(self.log)


class Supervisor:
    """One thread, the main one: children follow the thread that forked them into death."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._children: list[Child] = []
        self._stop_signals = 0
        self._alarm, self._bell = socket.socketpair()

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """While inside, SIGINT, SIGTERM and SIGHUP end `watch` in good order instead of raising."""
        self._alarm.setblocking(False)
        self._bell.setblocking(False)
        before = {number: signal.signal(number, self._stop) for number in _STOPPING}
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)  # it only has to wake us
        bell = signal.set_wakeup_fd(self._bell.fileno())
        try:
            yield
        finally:
            signal.set_wakeup_fd(bell)
            for number, handler in before.items():
                signal.signal(number, handler)

    def adopt(self, child: Child) -> None:
        """Watch a child whose process runs already."""
        child.started_at = time.monotonic()
        self._children.append(child)

    def start(self, child: Child) -> None:
        """Start a child and watch it. Its log begins afresh."""
        child.log.unlink(missing_ok=True)
        child.tail = LogTail(child.log)
        child.process = child.spawn()
        self.adopt(child)

    def watch(self, until: Callable[[], bool] = lambda: False, tick: float = _TICK_SECONDS) -> bool:
        """Keep everything running until `until`, asked every `tick` seconds, holds (True) or we are told to stop (False).

        Raises ServiceError when a child does not stay up.
        """
        while not self._stop_signals:
            if until():
                return True
            self._sleep(tick)
            for child in self._children:
                self._tend(child)
        return False

    def stop(self, groups: Sequence[Sequence[str]]) -> None:
        """Stop children by name, group after group. A second signal meanwhile kills what is left."""
        told_before = self._stop_signals
        for names in groups:
            group = [child for child in self._children if child.name in names and child.process]
            for child in group:
                if child.process and child.process.poll() is None:
                    child.process.send_signal(signal.SIGTERM)
            deadlines = {child.name: time.monotonic() + child.patience for child in group}
            while any(child.process and child.process.poll() is None for child in group):
                now, hurried = time.monotonic(), self._stop_signals > told_before
                for child in group:
                    if child.process and child.process.poll() is None and (hurried or now > deadlines[child.name]):
                        if not hurried:
                            self._terminal.line(
                                child.name, f"did not stop within {child.patience:.0f} s and was killed"
                            )
                        kill_group(child.process)
                self._sleep(_TICK_SECONDS)
            self._children = [child for child in self._children if child not in group]

    def _tend(self, child: Child) -> None:
        for line in child.tail.loud_lines():
            self._terminal.line(child.name, line)
        now = time.monotonic()
        if child.process is not None and child.process.poll() is not None:
            code = child.process.returncode
            kill_group(child.process)  # what it may have left behind
            child.process = None
            child.quick_deaths = child.quick_deaths + 1 if now - child.started_at < _QUICK_SECONDS else 1
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            if child.quick_deaths >= _QUICK_DEATHS:
                raise ServiceError(
                    f"{child.name} {how}, the {_QUICK_DEATHS}th time in a row. The end of {child.log}:\n{last_lines(child.log)}"
                )
            pause = min(0.2 * 4 ** (child.quick_deaths - 1), _LONGEST_PAUSE)
            child.due_at = now + pause
            self._terminal.line(child.name, f"{how}; starting it again")
        if child.due_at is not None and now >= child.due_at:
            child.due_at = None
            child.started_at = now
            child.process = child.spawn()

    def _sleep(self, seconds: float) -> None:
        """Until a signal arrives, a child's death among them, or `seconds` have passed."""
        if select.select([self._alarm], [], [], seconds)[0]:
            with contextlib.suppress(BlockingIOError):
                self._alarm.recv(4096)

    def _stop(self, _number: int, _frame: object) -> None:
        self._stop_signals += 1
