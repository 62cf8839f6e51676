"""Load by wrk, and its figures."""

import json
import os
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from bench.machine import BenchError, program

_SCRIPT = Path(__file__).with_name("chat.lua")


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk saw. Times of answers in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.requests / self.seconds


def wrk() -> str:
    """The path of wrk. Raises BenchError where it is not installed."""
    return program("wrk", "It makes the load: apt install wrk, or build it from its sources (github.com/wg/wrk).")


def first_answer(url: str, token: str) -> None:
    """Ask once and wait up to a minute: some servers load half of themselves at the first request.

    Raises BenchError with what came back instead of an answer.
    """
    body = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hello"}]}'
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=60) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        with error:
            raise BenchError(f"{url} answered {error.code}: {error.read(500).decode(errors='replace')}") from None
    except OSError as error:
        raise BenchError(f"{url} does not answer: {error}") from None


def load(
    url: str,
    *,
    token: str,
    connections: int,
    seconds: float,
    stream: bool = False,
    rate: float | None = None,
    model: str = "",
) -> Load:
    """Ask `url` from `connections` connections for `seconds`: as fast as it answers, or at about `rate` requests a second.

    Raises BenchError if anything but a 200 came back, as figures of failures say nothing.
    """
    variables = {"BENCH_TOKEN": token}
    if stream:
        variables["BENCH_STREAM"] = "1"
    if model:
        variables["BENCH_MODEL"] = model
    if rate is not None:
        variables["BENCH_PAUSE_MS"] = f"{connections / rate * 1000:.3f}"
    argv = [
        wrk(),
        "-t1",
        f"-c{connections}",
        f"-d{max(1, round(seconds))}s",
        "--timeout",
        "30s",
        "-s",
        str(_SCRIPT),
        url,
    ]
    run = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, **variables})
    lines = [line for line in run.stdout.splitlines() if line.startswith("{")]
    if run.returncode or not lines:
        raise BenchError(f"wrk failed: {(run.stderr or run.stdout).strip()}")
    said = json.loads(lines[-1])
    if said["refused"] or said["broken"] or not said["requests"]:
        raise BenchError(
            f"{url} answered {said['requests']} requests, {said['refused']} of them with an error, "
            f"and broke {said['broken']} off; there is nothing to measure."
        )
    return Load(said["requests"], said["seconds"], said["p50_us"] / 1000, said["p99_us"] / 1000)
