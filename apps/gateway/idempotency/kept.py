"""What the store keeps under an idempotency key, as one text: whose request it is for, and what became of it."""

import base64
from typing import Literal

import msgspec

from apps.core.sealing import Keyring, Place

type State = Literal["made", "kept", "lost"]

# Of an answer, what its repetition says as well. Anything else is about the call that is not made again.
_HEADERS = frozenset({"content-type", "content-language", "content-disposition", "x-tollgate-dropped"})


class Kept(msgspec.Struct, array_like=True):
    """`fingerprint`: of the request. `claim`: the id of the call that is or was made.

    `state`: it is being made; its answer is kept, sealed; or it has been answered and the answer was too large to keep.
    """

    state: State
    fingerprint: str
    claim: str
    sealed: str = ""


class KeptAnswer(msgspec.Struct, array_like=True):
    """An answer that can be given again. `headers`: those that belong to it."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


_decode = msgspec.json.Decoder(Kept).decode
_encode = msgspec.json.Encoder().encode
_decode_answer = msgspec.json.Decoder(KeptAnswer).decode


def written(kept: Kept) -> str:
    """As the store keeps it."""
    return _encode(kept).decode()


def read(text: str) -> Kept:
    """What the store has kept. Raises msgspec.DecodeError."""
    return _decode(text)


def sealed(status: int, headers: list[tuple[bytes, bytes]], body: bytes, keyring: Keyring, place: Place) -> str:
    """An answer as it is kept: it is the caller's affair, and nobody's who can read the store."""
    kept = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
    answer = KeptAnswer(status, [pair for pair in kept if pair[0].lower() in _HEADERS], body)
    return base64.b64encode(keyring.seal(_encode(answer).decode(), place)).decode()


def opened(text: str, keyring: Keyring, place: Place) -> KeptAnswer:
    """The answer. Raises SealingError, ValueError."""
    return _decode_answer(keyring.open(base64.b64decode(text), place))
