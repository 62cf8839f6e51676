"""What one field of an entry may say, and how it is written. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from apps.configuration.document import ConfigurationRefused, Node
from apps.providers.prices.documents import when

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
# A file that somebody else wrote must not send what the installation lives on to a provider of its choice.
_OWN_SECRETS = frozenset(
    {
        "DATABASE_URL",
        "EMAIL_URL",
        "METRICS_TOKEN",
        "OIDC_CLIENT_SECRET",
        "REDIS_URL",
        "SEALING_KEYS",
        "SECRET_KEY",
        "TOLLGATE_ADMIN_PASSWORD",
    }
)


class Wrong(ConfigurationRefused):
    """Values that their fields cannot take."""

    def __init__(self, node: Node, message: str) -> None:
        """`message`: what is expected, and how to write it."""
        super().__init__([node.problem(message)])


type Reader = Callable[[Node], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of an entry. What is left out of the file has `default`; what has it is left out of an export."""

    name: str
    read: Reader
    default: Any = None
    required: bool = False
    write: Callable[[Any], Any] = lambda value: value


@dataclass(frozen=True, slots=True)
class Reference:
    """A credential by its label: the owner's, or the installation's."""

    label: str
    hosted: bool = False

    def __str__(self) -> str:
        return f"{self.label} (hosted)" if self.hosted else self.label


@dataclass(frozen=True, slots=True)
class FromEnvironment:
    """A secret that the file does not hold: the variable that does."""

    variable: str

    def __str__(self) -> str:
        return f"from {self.variable}"


def read_fields(node: Node, fields: Sequence[Field], *, others: Sequence[str] = ()) -> dict[str, Any]:
    """What a mapping says, with defaults for what it leaves out; `others`: keys that somebody else reads.

    Raises ConfigurationRefused with everything that is wrong.
    """
    given = mapping(node)
    known = {field.name: field for field in fields}
    problems = [
        given[name].problem(f"there is no such field: there are {', '.join([*known, *others])}")
        for name in given
        if name not in known and name not in others
    ]
    values: dict[str, Any] = {}
    for field in fields:
        if field.name not in given:
            values[field.name] = field.default
            if field.required:
                problems.append(node.problem(f"{field.name} is missing"))
            continue
        try:
            values[field.name] = field.read(given[field.name])
        except ConfigurationRefused as wrong:
            problems += wrong.problems
    if problems:
        raise ConfigurationRefused(problems)
    return values


def write_fields(values: Mapping[str, Any], fields: Sequence[Field]) -> dict[str, Any]:
    """The mapping that `read_fields` reads as `values`."""
    return {
        field.name: field.write(values[field.name])
        for field in fields
        if field.required or values[field.name] != field.default
    }


# --- Readers ---


def mapping(node: Node) -> dict[str, Node]:
    """Names with values."""
    if not isinstance(node.value, dict):
        raise Wrong(node, "names with values are expected here, as in `name: value`")
    return node.value


def items(node: Node) -> list[Node]:
    """A list; nothing at all is an empty one."""
    if node.value is None:
        return []
    if not isinstance(node.value, list):
        raise Wrong(node, "a list is expected here: one entry a line, each begun with a dash")
    return node.value


def text(node: Node) -> str:
    """Text that says something."""
    if isinstance(node.value, bool | int | Decimal):
        raise Wrong(node, "text is expected here: put it in quotes")
    if not isinstance(node.value, str) or not node.value.strip():
        raise Wrong(node, "text is expected here, and it must not be empty")
    return node.value.strip()


def text_or_none(node: Node) -> str:
    """Text; nothing at all is none."""
    return "" if node.value is None or node.value == "" else text(node)


def switch(node: Node) -> bool:
    """true or false."""
    if not isinstance(node.value, bool):
        raise Wrong(node, "write true or false")
    return node.value


def switch_or_none(node: Node) -> bool | None:
    """true, false, or nothing at all for "not set"."""
    return None if node.value is None else switch(node)


def whole(node: Node) -> int:
    """A whole number."""
    if not isinstance(node.value, int) or isinstance(node.value, bool):
        raise Wrong(node, "a whole number is expected here, without quotes")
    return node.value


def whole_or_none(node: Node) -> int | None:
    """A whole number, or nothing at all for "not set"."""
    return None if node.value is None else whole(node)


def amount(node: Node) -> Decimal:
    """A plain decimal, exact."""
    if isinstance(node.value, int | Decimal) and not isinstance(node.value, bool):
        return Decimal(node.value)
    raise Wrong(node, "an amount is expected here, as plain digits without quotes, such as 5 or 0.25")


def amount_or_none(node: Node) -> Decimal | None:
    """A plain decimal, or nothing at all."""
    return None if node.value is None else amount(node)


def seconds_or_none(node: Node) -> float | None:
    """Seconds, or nothing at all."""
    found = amount_or_none(node)
    return None if found is None else float(found)


def texts(node: Node) -> list[str]:
    """A list of texts."""
    return [text(item) for item in items(node)]


def wholes(node: Node) -> list[int]:
    """A list of whole numbers."""
    return [whole(item) for item in items(node)]


def one_of(choices: Sequence[str], *, none: bool = False) -> Reader:
    """One of a few words; with `none`, nothing at all is "not set"."""

    def read(node: Node) -> str:
        if none and (node.value is None or node.value == ""):
            return ""
        if node.value not in choices:
            raise Wrong(node, f"use one of {', '.join(choices)}")
        return str(node.value)

    return read


def moment(node: Node) -> datetime:
    """A date or a time, as in 2026-11-01 or 2026-11-01T08:00:00Z."""
    try:
        return when(text(node))
    except ValueError as error:
        raise Wrong(node, str(error)) from None


def reference_or_none(node: Node) -> Reference | None:
    """A credential's label, `{hosted: label}`, or nothing at all."""
    if node.value is None:
        return None
    if not isinstance(node.value, dict):
        return Reference(text(node))
    if set(node.value) != {"hosted"}:
        raise Wrong(node, "write a credential's label, or {hosted: label} for one of the installation's")
    return Reference(text(node.value["hosted"]), hosted=True)


def secret(node: Node) -> FromEnvironment:
    """`{env: NAME}`: a secret is never in the file itself."""
    if not isinstance(node.value, dict) or set(node.value) != {"env"}:
        raise Wrong(node, "a secret does not belong in the file: write {env: NAME}, and set that variable")
    variable = text(node.value["env"])
    if not _VARIABLE.fullmatch(variable):
        raise Wrong(node.value["env"], "this is no name of a variable: use letters, digits and _")
    if variable.upper() in _OWN_SECRETS:
        raise Wrong(node.value["env"], f"{variable} is the installation's own and goes to no provider: use another")
    return FromEnvironment(variable)


# --- Writers ---


def written_reference(value: Reference | None) -> Any:
    """As `reference_or_none` reads it."""
    return None if value is None else {"hosted": value.label} if value.hosted else value.label


def written_secret(value: FromEnvironment | None) -> Any:
    """As `secret` reads it."""
    return None if value is None else {"env": value.variable}


def written_moment(value: datetime | None) -> Any:
    """As `moment` reads it: a bare date for midnight in UTC."""
    if value is None:
        return None
    at = value.astimezone(UTC)
    midnight = at == at.replace(hour=0, minute=0, second=0, microsecond=0)
    return f"{at:%Y-%m-%d}" if midnight else at.isoformat().replace("+00:00", "Z")
