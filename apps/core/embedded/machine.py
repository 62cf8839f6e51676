"""Whether the bundled server binaries run on this machine at all, said before they crash."""

import platform
from pathlib import Path

from apps.core.embedded.errors import ServiceError

_OTHERWISE = (
    "Set DATABASE_URL and REDIS_URL to servers of your own (PostgreSQL 17 or later with pgvector, Valkey or Redis 7)."
)


def check_machine(
    system: str | None = None, machine: str | None = None, libc: str | None = None, cpuinfo: str | None = None
) -> None:
    """Raises ServiceError where the wheels have no binaries or the processor lacks an instruction they use.

    Arguments are what this machine reports unless given: `platform.system()`, `platform.machine()`, the C library's
    name and the text of /proc/cpuinfo.
    """
    system = platform.system() if system is None else system
    machine = platform.machine() if machine is None else machine
    libc = platform.libc_ver()[0] if libc is None else libc
    if system != "Linux" or machine not in {"x86_64", "aarch64"} or libc != "glibc":
        raise ServiceError(
            f"There are no private PostgreSQL and Valkey for this platform ({system} {machine} {libc or '(no glibc)'});"
            f" they exist for Linux with glibc on x86_64 and aarch64. {_OTHERWISE}"
        )
    # vector.so is compiled with AVX2 and FMA: without them the server dies of SIGILL at the first vector.
    if machine == "x86_64":
        flags = _flags(Path("/proc/cpuinfo").read_text(encoding="utf-8") if cpuinfo is None else cpuinfo)
        missing = [name.upper() for name in ("avx2", "fma") if flags and name not in flags]
        if missing:
            raise ServiceError(
                f"This processor lacks {' and '.join(missing)}, which the private PostgreSQL's pgvector needs."
                f" {_OTHERWISE}"
            )


def _flags(cpuinfo: str) -> set[str]:
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            return set(value.split())
    return set()
