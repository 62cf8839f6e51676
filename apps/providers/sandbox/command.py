"""The command line, for `python -m apps.providers.sandbox` and `manage.py sandbox` alike."""

import argparse
import asyncio
import math
import sys
from collections.abc import Callable

import uvloop

from apps.providers.sandbox.catalogue import MAX_CHUNKS
from apps.providers.sandbox.server import serve
from apps.providers.sandbox.service import Faults, Sandbox

SUMMARY = "Run the sandbox: a provider that speaks OpenAI's API, answers from a can and fails on request."

PORT = 8100  # unless the command line says otherwise
MAX_BODY = 64 * 1024 * 1024  # bytes, the same


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sandbox's options to a parser."""
    milliseconds = _between(0, 3_600_000)
    option = parser.add_argument
    option("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    option("--port", type=_whole(0, 65535), default=PORT, help="0 takes a free one (default: %(default)s)")
    option("--fail-rate", type=_between(0, 1), metavar="0..1", help="share of requests that fail")
    option(
        "--status",
        type=_whole(400, 599),
        help="what failing requests answer (default: 500); without --fail-rate, all requests do",
    )
    option("--latency-ms", type=milliseconds, default=0, metavar="MS", help="wait before each answer's first byte")
    option("--chunk-ms", type=milliseconds, default=0, metavar="MS", help="wait between the chunks of streams")
    option("--chunks", type=_whole(1, MAX_CHUNKS), metavar="N", help="write texts of exactly N tokens")
    option("--seed", type=int, default=0, help="decides which requests fail (default: %(default)s)")
    option(
        "--max-body-bytes",
        type=_whole(1, 2**31),
        default=MAX_BODY,
        metavar="N",
        help="refuse larger requests (default: 64 MiB)",
    )


def run(options: argparse.Namespace) -> int:
    """Serve until told to stop. Returns the exit status: 0, or 1 when the address cannot be listened on."""
    failing = options.fail_rate if options.fail_rate is not None else float(options.status is not None)
    sandbox = Sandbox(
        Faults(
            fail_rate=failing,
            status=options.status or 500,
            latency=options.latency_ms / 1000,
            between=options.chunk_ms / 1000,
            chunks=options.chunks,
            seed=options.seed,
        )
    )
    serving = serve(sandbox, host=options.host, port=options.port, max_body=options.max_body_bytes, started=_announce)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serving)
    except OSError as exc:
        where = f"{options.host}:{options.port}"
        sys.stderr.write(f"The sandbox cannot listen on {where}: {exc.strerror or exc}. Choose another --port.\n")
        return 1
    return 0


def main(arguments: list[str] | None = None) -> int:
    """The entry point of `python -m apps.providers.sandbox`."""
    parser = argparse.ArgumentParser(prog="python -m apps.providers.sandbox", description=SUMMARY)
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def _announce(url: str) -> None:
    sys.stdout.write(f"Sandbox provider listening on {url}/v1; answers are canned, no key needed\n")
    sys.stdout.flush()  # whoever started us may be waiting for this line through a pipe


def _whole(low: int, high: int) -> Callable[[str], int]:
    """An argument's type: an integer from `low` to `high`."""
    return lambda text: int(_number(text, low, high, whole=True))


def _between(low: float, high: float) -> Callable[[str], float]:
    """An argument's type: a number from `low` to `high`."""
    return lambda text: _number(text, low, high, whole=False)


def _number(text: str, low: float, high: float, *, whole: bool) -> float:
    try:
        value = float(int(text) if whole else float(text))
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        kind = "an integer" if whole else "a number"
        raise argparse.ArgumentTypeError(f"expected {kind} from {low} to {high}, got {text!r}")
    return value
