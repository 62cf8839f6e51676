"""JSON Schemas as Anthropic enforces them: objects are closed, and bounds are told in words. Pure."""

import orjson

from apps.providers.translation.fields import too_deep
from apps.providers.translation.form import Json
from apps.providers.translation.losses import Losses

_DEPTH_MAX = 64
# What a schema may hold. Everything else is refused by Anthropic, so it is told in the description.
_HELD = frozenset(
    {
        *("type", "description", "title", "enum", "const", "default", "properties", "required", "additionalProperties"),
        *("items", "anyOf", "allOf", "$ref", "$defs", "definitions"),
    }
)
_SILENT = frozenset({"$schema", "$id", "$comment", "examples"})  # nothing that an answer must hold to
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
_OPEN = "Name the properties of every object: objects with any others cannot be enforced here."


def enforced(schema: Json, path: str, losses: Losses) -> Json:
    """The schema as it can be enforced. What of it cannot is a hint; an object of any properties is a loss of meaning.

    Raises UnsupportedParameter, InvalidValue.
    """
    return _Fitting(path, losses).fit(schema, 0)


class _Fitting:
    __slots__ = ("_losses", "_path")

    def __init__(self, path: str, losses: Losses) -> None:
        self._path, self._losses = path, losses

    def fit(self, schema: Json, depth: int) -> Json:
        if depth > _DEPTH_MAX:
            raise too_deep(self._path)
        found: Json = {}
        told: Json = {}
        for name, value in schema.items():
            if name == "oneOf" and "anyOf" not in schema:
                found["anyOf"] = self._each(value, depth)
            elif name in ("anyOf", "allOf"):
                found[name] = self._each(value, depth)
            elif name in ("properties", "$defs", "definitions"):
                found[name] = self._named(value, depth)
            elif name == "items":
                found[name] = self._one(value, depth)
            elif name in _HELD or (name == "minItems" and value in (0, 1)) or (name == "format" and value in _FORMATS):
                found[name] = value
            elif name not in _SILENT:
                told[name] = value
        if _is_object(schema):
            if schema.get("additionalProperties") not in (None, False) or "properties" not in schema:
                self._losses.meaning(self._path, _OPEN)
            found["additionalProperties"] = False
        if told:
            self._losses.hint(self._path)
            said = found.get("description")
            words = orjson.dumps(told).decode()
            found["description"] = f"{said}\n\n{words}" if isinstance(said, str) and said else words
        return found

    def _one(self, value: object, depth: int) -> object:
        return self.fit(value, depth + 1) if isinstance(value, dict) else value

    def _each(self, value: object, depth: int) -> object:
        return [self._one(each, depth) for each in value] if isinstance(value, list) else value

    def _named(self, value: object, depth: int) -> object:
        return {name: self._one(each, depth) for name, each in value.items()} if isinstance(value, dict) else value


def _is_object(schema: Json) -> bool:
    kind = schema.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind)
