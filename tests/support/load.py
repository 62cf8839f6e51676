"""Callers in threads, and what they were answered."""

import contextlib
import threading
from collections.abc import Callable
from typing import Self

import httpx


class Load:
    """Some callers that ask again and again until told to stop. A context manager: leaving it stops them.

    `answered` are the x-request-ids of answers that arrived whole (a stream's with its `[DONE]`), `refused` the statuses of others,
    `broken` how many calls found no answer.
    """

    def __init__(self, url: str, token: str, *, callers: int = 4, model: str = "gpt-test") -> None:
        self._url, self._token, self._model = url, token, model
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.answered: list[str] = []
        self.refused: list[int] = []
        self.broken = 0
        self._threads = [
            threading.Thread(target=self._call_again, args=(number % 2 == 1,), daemon=True) for number in range(callers)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let every caller end its call."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def has(self, count: int) -> Callable[[], bool]:
        """Whether at least so many more answers have arrived, counted from now."""
        least = len(self.answered) + count
        return lambda: len(self.answered) >= least

    def _call_again(self, stream: bool) -> None:
        body = {"model": self._model, "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
        headers = {"authorization": f"Bearer {self._token}"}
        with httpx.Client(base_url=self._url, headers=headers, timeout=10) as client:
            while not self._stop.is_set():
                try:
                    response = client.post("/v1/chat/completions", json=body)
                except httpx.TransportError:
                    with self._lock:
                        self.broken += 1
                    self._stop.wait(0.05)
                    continue
                whole = response.status_code == 200 and (not stream or response.text.endswith("data: [DONE]\n\n"))
                with self._lock, contextlib.suppress(KeyError):
                    if whole:
                        self.answered.append(response.headers["x-request-id"])
                    else:
                        self.refused.append(response.status_code)
