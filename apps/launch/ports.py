"""The listening port: taken before anything else starts, with a sentence about who has it otherwise."""

import errno
import os
import socket
from pathlib import Path

from apps.core.embedded import ServiceError

_BACKLOG = 2048
_LISTENING = "0A"  # in /proc/net/tcp


def listener(host: str, port: int) -> socket.socket:
    """A listening socket on `host` and `port`. Raises ServiceError."""
    if not 0 < port < 65_536:
        raise ServiceError(f"PORT is {port}; it must be between 1 and 65535.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError):
        raise ServiceError(f"HOST is {host}, which is no address of this machine: try 127.0.0.1 or 0.0.0.0.") from None
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise ServiceError(_why(error, host, port)) from error
    return listening


def free_port(preferred: int | None = None) -> int:
    """A loopback port that nobody listens on; `preferred` if that is one."""
    for port in (preferred or 0, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ServiceError("No loopback port is free.")


def _why(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        by = _holder(port)
        return f"Port {port} on {host} is taken{f' by {by}' if by else ''}. Stop that, or choose another: PORT={port + 1} make up"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"HOST is {host}, which is no address of this machine: try 127.0.0.1 or 0.0.0.0."
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"There is no permission to listen on port {port}: ports below 1024 are root's. Try PORT=8000 make up"
    return f"Cannot listen on {host} port {port}: {error.strerror}."


def _holder(port: int) -> str | None:
    """Name and process id of who listens on `port`, if we may see it."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            columns = row.split()
            if columns[3] == _LISTENING and int(columns[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{columns[9]}]")
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            for descriptor in (process / "fd").iterdir():
                if os.readlink(descriptor) in inodes:  # noqa: PTH115 - such a link names no path
                    name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
                    return f"{name} (process {process.name})"
        except OSError:  # gone, or not ours to look at
            continue
    return None
