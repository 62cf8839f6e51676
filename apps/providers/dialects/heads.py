"""What a request says, whatever its dialect: the little that the gateway decides on, and how its mistakes are told."""

from collections.abc import Callable
from typing import Annotated, Protocol

import msgspec

from apps.core.errors import BadRequest, InvalidJson, InvalidType, InvalidValue, MissingParameter

# A client's string that we keep or compare; longer ones are no identifiers.
Identifier = Annotated[str, msgspec.Meta(max_length=4096)]

# A number of tokens, or of anything else that a request may ask for.
Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]

ABSENT = msgspec.Raw(b"")


class Head(Protocol):
    """The fields of a request body that the gateway reads. Everything else passes unread."""

    @property
    def model(self) -> str | None:
        """As the body names it; None where the path does."""

    @property
    def stream(self) -> bool | None:
        """Whether a stream is asked for."""

    @property
    def asks_for_usage(self) -> bool:
        """Whether the client itself wants to see what a stream used."""

    @property
    def end_user(self) -> str:
        """Whom the client calls for, in its own words; empty: it does not say."""

    @property
    def tags(self) -> tuple[str, ...]:
        """`key=value`, of what the body has for it; entries that cannot be tags are left out."""

    @property
    def answers(self) -> int:
        """How many are asked for at once."""

    @property
    def service_tier(self) -> str | None:
        """The tier asked for, in the dialect's word for it."""

    @property
    def background(self) -> bool | None:
        """Whether the answer is to be fetched later."""

    @property
    def points_elsewhere(self) -> bool:
        """Whether it draws in something of a length that only the provider knows."""

    @property
    def pointers(self) -> tuple[bytes, ...]:
        """What stands in a body before each picture or file that it holds or points at."""

    @property
    def max_searches(self) -> int | None:
        """How many web searches it allows, if it asks for any; None: it does not say."""

    def output_cap(self, endpoint: str) -> int | None:
        """The output tokens that the request itself allows, for each answer; None: it says nothing."""


def decoded[T](body: bytes, decode: Callable[[bytes], T]) -> T:
    """`decode(body)`. Raises BadRequest naming the field."""
    try:
        return decode(body)
    except msgspec.ValidationError as exc:
        raise wrong_type(str(exc)) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidJson(f"The request body is not valid JSON ({exc}): send a JSON object.") from exc


def require(raw: msgspec.Raw, name: str, first: bytes, expected: str) -> None:
    """A field must be there, and its value begin with one of the bytes `first`. Raises MissingParameter, InvalidType."""
    start = bytes(memoryview(raw)[:64]).lstrip()[:1]
    if not start:
        raise MissingParameter(f"Missing required parameter: '{name}'.", param=name)
    if start not in first:
        raise InvalidType(f"Invalid type for '{name}': expected {expected}.", param=name)


def wrong_type(message: str) -> BadRequest:
    """What msgspec says of a request ("Expected `str`, got `int` - at `$.model`"), in the words that clients know."""
    what, _, where = message.partition(" - at `$")
    param = where.rstrip("`").lstrip(".")
    if not param:
        return InvalidJson("The request body must be a JSON object.")
    if "length" in what:
        return InvalidValue(f"Invalid value for '{param}': it is too long.", param=param)
    if "`int` >=" in what or "`int` <=" in what:
        return InvalidValue(f"Invalid value for '{param}': use a whole number from 0 to 1000000000.", param=param)
    return InvalidType(
        f"Invalid type for '{param}': {what[0].lower()}{what[1:].replace('`', '').replace(' | null', '')}.", param=param
    )
