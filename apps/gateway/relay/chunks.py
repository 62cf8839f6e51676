"""What upstream sends, piece by piece as it comes."""

import zlib
from collections.abc import Callable

from apps.core.errors import UpstreamMalformed
from apps.gateway.upstream.connection import Response
from apps.gateway.watch import Watch

_UNPACK_MAX = 256 * 1024
_ZLIB = frozenset({b"gzip", b"x-gzip", b"deflate"})


class Chunks:
    """What upstream sends, piece by piece as it comes. We ask for no compression; where it comes all the same, it ends here."""

    __slots__ = ("_packed", "_response", "_unpack", "_watch")

    def __init__(self, response: Response, watch: Watch, encoding: bytes) -> None:
        """Raises UpstreamMalformed for an encoding that we cannot undo."""
        self._response = response
        self._watch = watch
        self._packed = b""
        self._unpack = zlib.decompressobj(wbits=47) if encoding in _ZLIB else None  # gzip and zlib alike
        if self._unpack is None and encoding not in (b"", b"identity"):
            what = encoding.decode("latin-1")
            raise UpstreamMalformed(f"The provider answered in an encoding that was not asked for ({what}).")

    @property
    def are_plain(self) -> bool:
        """Whether pieces are given as they come."""
        return self._unpack is None

    async def pump(self, consume: Callable[[bytes], bool]) -> bool:
        """Hand pieces over in the callback that brings them, until `consume` says False (returns False) or the end (True)."""
        return await self._response.pump(consume)

    async def next(self) -> bytes:
        """The next piece; empty at the end. Raises GatewayError when the answer breaks off."""
        try:
            if self._unpack is None:
                chunk = await self._response.read()
                self._watch.heard()
                return chunk
            while True:
                if not self._packed:
                    self._packed = await self._response.read()
                    self._watch.heard()
                    if not self._packed:
                        return self._unpack.flush()  # what the bound below held back, without any input left
                # In bounded pieces: a small body may unpack to a very large one.
                out = self._unpack.decompress(self._packed, _UNPACK_MAX)
                self._packed = self._unpack.unconsumed_tail
                if out:
                    return out
        except zlib.error as exc:
            raise UpstreamMalformed from exc
