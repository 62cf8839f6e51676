"""How open circuits are told in the store: what gateways share of how providers fare, and the console shows. Pure; no Django.

`SHUT` is a hash of what is open; `TURN` counts its changes, so that a look costs little while nothing does. A lease beside an open
circuit says which process may send its probe. `NEWS` is a list of what operators are to be told of credentials.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

SHUT = "tg:health:shut"
TURN = "tg:health:turn"
NEWS = "tg:health:news"
NEWS_KEPT = 10_000
# Seconds past its end after which a circuit that nobody has probed is forgotten: there are so few calls that the next may find out.
ABANDONED = 120.0


type Reason = Literal["failing", "limited", "refused"]
_REASONS: Mapping[str, Reason] = {"failing": "failing", "limited": "limited", "refused": "refused"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shut:
    """A circuit that is open, or waits for its probe. Times in Unix seconds.

    `model`: the provider's own name; empty: the credential is shut for all. `version`: when the credential had been changed last.
    """

    credential: str  # 32 hexadecimal digits
    model: str
    until: float
    cooldown: float  # seconds
    reason: Reason
    code: str  # of the error that has opened it
    version: int
    at: float  # when it was opened, this time

    @property
    def field(self) -> str:
        """Its place in the hash."""
        return field_of(self.credential, self.model)


def field_of(credential: str, model: str) -> str:
    """The place of a circuit in the hash."""
    return f"{credential}:{model}"


def lease(credential: str, model: str) -> str:
    """The key of who may send its probe."""
    return f"tg:health:probe:{credential}:{model}"


def written(shut: Shut) -> bytes:
    """As the hash keeps it."""
    return orjson.dumps(
        {
            "until": round(shut.until, 3),
            "cooldown": shut.cooldown,
            "reason": shut.reason,
            "code": shut.code,
            "version": shut.version,
            "at": round(shut.at, 3),
        }
    )


def read(field: str, value: str) -> Shut | None:
    """One entry of the hash; None for one that is not understood, as another release may have written it."""
    credential, _, model = field.partition(":")
    try:
        told: Any = orjson.loads(value)
        return Shut(
            credential=credential,
            model=model,
            until=float(told["until"]),
            cooldown=float(told["cooldown"]),
            reason=_REASONS[told["reason"]],
            code=str(told["code"]),
            version=int(told["version"]),
            at=float(told["at"]),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialNews:
    """A provider refuses a credential with this status, or (0) takes it again. `at`: Unix seconds."""

    credential: str  # 32 hexadecimal digits
    model: str
    status: int
    at: float


def news_written(news: CredentialNews) -> bytes:
    """As the list keeps it."""
    return orjson.dumps({"credential": news.credential, "model": news.model, "status": news.status, "at": news.at})


def news_read(value: str) -> CredentialNews | None:
    """One entry of the list; None for one that is not understood."""
    try:
        told: Any = orjson.loads(value)
        return CredentialNews(
            credential=str(told["credential"]),
            model=str(told["model"]),
            status=int(told["status"]),
            at=float(told["at"]),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None
