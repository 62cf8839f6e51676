"""Measures everything in one run and prints one table."""

import importlib.metadata
import platform
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from apps.core.embedded import ServiceError
from apps.core.env import env, path, seconds, words
from bench.load import wrk
from bench.machine import BenchError, Cores, confined, description
from bench.measure import Figures, measure
from bench.peers import PEERS, installed
from bench.report import table
from bench.subjects import CHECKOUT, Subject, nginx, tollgate, upstream


def main() -> int:
    """Exit code 0 with figures, whatever they are; 1 with a sentence where nothing could be measured."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        each = env("BENCH_SECONDS", seconds, "8")
        peers = env("BENCH_PEERS", words, "")
        home = env("BENCH_DIR", path, str(CHECKOUT / ".data/bench"))
        wrk()
        _run(each, {name: installed(name, home) for name in peers})
    except (BenchError, ServiceError, ImproperlyConfigured) as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _run(each: float, peers: dict[str, Path]) -> None:
    cores = Cores.divide()
    print(
        f"Tollgate {_version('tollgate') or 'from this checkout'}, Python {platform.python_version()}, " + _libraries()
    )
    print("\n".join(description(cores)), flush=True)
    with ExitStack() as ending, confined(cores.others):
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="tollgate-bench-")))
        folder.chmod(0o711)  # the private database's own account passes through
        direct = upstream(ending, folder, cores)
        base = direct.url.removesuffix("/v1/chat/completions")

        with ExitStack() as running:
            ours = _measured(tollgate(running, folder, cores, base, governed=True), direct, each)
        with ExitStack() as running:
            plain = _measured(tollgate(running, folder, cores, base, governed=False), direct, each)
        columns = [ours, plain, *_reference(folder, cores, direct, base, each, ours.full.rate / 2)]
        columns.append(_measured(direct, direct, each))
        for name, environment in peers.items():
            with ExitStack() as running:
                columns.append(_measured(PEERS[name].start(running, folder, cores, base, environment), direct, each))
    print("\n" + table(columns))


def _reference(folder: Path, cores: Cores, direct: Subject, base: str, each: float, half_rate: float) -> list[Figures]:
    """nginx's figures, its light load being Tollgate's; nothing where it is not installed."""
    with ExitStack() as running:
        try:
            subject = nginx(running, folder, cores, base)
        except BenchError as error:
            print(f"  nginx is left out: {error}", flush=True)
            return []
        return [_measured(subject, direct, each, half_rate)]


def _measured(subject: Subject, direct: Subject, each: float, half_rate: float | None = None) -> Figures:
    print(f"  measuring {subject.name} …", flush=True)
    return measure(subject, direct, each, half_rate)


def _libraries() -> str:
    return ", ".join(f"{name} {_version(name)}" for name in ("uvicorn", "uvloop", "httptools", "orjson", "msgspec"))


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
