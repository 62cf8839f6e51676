"""Who does something, and through which door: what every action takes and every admin event keeps."""

from dataclasses import dataclass
from typing import Literal, Self
from uuid import UUID

Door = Literal["admin", "api", "command", "up", "system"]


@dataclass(frozen=True, slots=True)
class Actor:
    """One who acts: a signed-in user; a key; or the installation itself (both `user_id` None)."""

    door: Door
    label: str
    user_id: UUID | None = None
    address: str | None = None
    is_installation: bool = False  # a management key of the installation's: its door is no word for that
    issuer_id: UUID | None = None  # of a key: who issued it, if anybody did, and answers for what lasts beyond it

    @classmethod
    def system(cls, door: Door = "system") -> Self:
        """The installation itself: commands, first start, scheduled work."""
        return cls(door=door, label=f"({door})")
