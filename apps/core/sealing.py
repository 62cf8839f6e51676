"""Secrets at rest: AES-256-GCM, bound to the row they were sealed for.

A sealed value is `version (1) | key id length (1) | key id | nonce (12) | ciphertext and tag`. The associated data names table,
row, column and organization, so a value copied to another row, column or organization does not open.
"""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = 1
_NONCE_BYTES = 12


class SealingError(Exception):
    """A sealed value could not be opened: wrong key, wrong place, or altered. Never carries the value."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a secret lives. `organization` is None for what belongs to the installation."""

    table: str
    row: UUID
    column: str
    organization: UUID | None

    def associated_data(self) -> bytes:
        """The bytes that the cipher authenticates beside the secret."""
        owner = self.organization.hex if self.organization else "installation"
        return b"\x00".join(part.encode() for part in ("tollgate", self.table, self.row.hex, self.column, owner))


class Keyring:
    """The installation's sealing keys: the first one seals, all of them open."""

    __slots__ = ("_keys", "sealing_key_id")

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """`keys`: 32 bytes each, by id (1 to 32 characters), the sealing one first. Raises ValueError otherwise."""
        if not keys or any(len(key) != 32 or not 1 <= len(key_id) <= 32 for key_id, key in keys.items()):
            raise ValueError("a keyring needs at least one key of 32 bytes, each with an id")
        self._keys = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self.sealing_key_id = next(iter(keys))

    @classmethod
    def parse(cls, raw: str) -> Self:
        """keys as id:base64-of-32-bytes, separated by commas."""
        keys: dict[str, bytes] = {}
        for word in raw.split(","):
            key_id, colon, encoded = word.strip().partition(":")
            if not colon or key_id in keys:
                raise ValueError
            keys[key_id] = base64.b64decode(encoded, validate=True)
        return cls(keys)

    @staticmethod
    def generate(key_id: str = "k1") -> str:
        """A new key in the form that `parse` reads."""
        return f"{key_id}:{base64.b64encode(os.urandom(32)).decode()}"

    def seal(self, secret: str, place: Place) -> bytes:
        """Encrypt `secret` so that it opens at `place` only."""
        nonce = os.urandom(_NONCE_BYTES)
        key_id = self.sealing_key_id.encode()
        sealed = self._keys[self.sealing_key_id].encrypt(nonce, secret.encode(), place.associated_data())
        return bytes((_VERSION, len(key_id))) + key_id + nonce + sealed

    def open(self, sealed: bytes, place: Place) -> str:
        """The secret that was sealed at `place`. Raises SealingError."""
        try:
            version, length = sealed[0], sealed[1]
            key_id = sealed[2 : 2 + length].decode()
            nonce = sealed[2 + length : 2 + length + _NONCE_BYTES]
            if version != _VERSION or len(nonce) != _NONCE_BYTES:
                raise SealingError("the sealed value has an unknown format")
            key = self._keys.get(key_id)
            if key is None:
                raise SealingError(f"it was sealed with key {key_id!r}, which SEALING_KEYS does not hold")
            return key.decrypt(nonce, sealed[2 + length + _NONCE_BYTES :], place.associated_data()).decode()
        except InvalidTag:
            raise SealingError(
                "the sealed value was altered, moved, or sealed with another key of the same id"
            ) from None
        except (IndexError, UnicodeDecodeError):
            raise SealingError("the sealed value has an unknown format") from None

    def key_id_of(self, sealed: bytes) -> str:
        """Which key sealed it: what a rotation asks. Raises SealingError."""
        try:
            return sealed[2 : 2 + sealed[1]].decode()
        except (IndexError, UnicodeDecodeError):
            raise SealingError("the sealed value has an unknown format") from None
