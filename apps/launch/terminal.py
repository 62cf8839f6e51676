"""What `up` prints: short lines, aligned, flushed at once, the same on a terminal and in a file."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TextIO

_LABEL = 12


class Terminal:
    """Writes progress to a stream."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._open = False  # a step's label is written, its result is not
        self._ticks = 0

    def say(self, text: str) -> None:
        """A line, or several, by themselves."""
        self._write(("\n" if self._open else "") + text + "\n")
        self._open = False

    def title(self, text: str) -> None:
        """What this is."""
        self.say(text)

    def line(self, label: str, text: str) -> None:
        """A fact under its label."""
        self.say(f"  {label:<{_LABEL}}{text}")

    def tick(self) -> None:
        """One more part of the step is done."""
        self._write(".")
        self._ticks += 1

    @contextlib.contextmanager
    def step(self, label: str) -> Iterator[Callable[[str], None]]:
        """Something that takes a while: the label at once, the result and the time it took at the end."""
        began, result = time.monotonic(), "done"

        def done(text: str) -> None:
            nonlocal result
            result = text

        self._write(f"  {label:<{_LABEL}}")
        self._open, self._ticks = True, 0
        try:
            yield done
        except BaseException as error:
            if self._open:
                self._open = False
                self._write("stopped\n" if isinstance(error, KeyboardInterrupt) else "failed\n")
            raise
        took = f"{result} ({time.monotonic() - began:.1f} s)"
        if self._open:
            self._open = False
            self._write((" " if self._ticks else "") + took + "\n")
        else:  # something was said meanwhile
            self.line(label, took)

    def _write(self, text: str) -> None:
        # Nobody reads any more, a closed terminal say: what we run matters more than what we print.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()
