"""Reading a request's JSON: every complaint names the field in OpenAI's words."""

from typing import Any

import orjson

from apps.providers.sandbox.errors import ApiError, missing, wrong_type, wrong_value

type Json = dict[str, Any]


def parsed(body: bytes) -> "Fields":
    """The body as fields. Raises ApiError 400 when it is not a JSON object."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise ApiError(
            400,
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP "
            "library correctly. The API expects a JSON payload, but what was sent was not valid JSON.)",
        )
    return Fields(value)


class Fields:
    """The fields of one JSON object; `path` is how messages call it (`messages[0]`), empty at the top.

    A field that is null counts as absent, as it does for OpenAI.
    """

    __slots__ = ("json", "path")

    def __init__(self, json: Json, path: str = "") -> None:
        self.json, self.path = json, path

    def named(self, name: str) -> str:
        """How messages call the field."""
        return f"{self.path}.{name}" if self.path else name

    def text(self, name: str) -> str | None:
        """The field as text, or None."""
        value = self.json.get(name)
        if value is not None and not isinstance(value, str):
            raise wrong_type(self.named(name), "a string", value)
        return value

    def required_text(self, name: str) -> str:
        """The field as text that is there and not empty."""
        value = self.text(name)
        if not value:
            raise missing(self.named(name))
        return value

    def boolean(self, name: str, *, default: bool = False) -> bool:
        """The field as a boolean."""
        value = self.json.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise wrong_type(self.named(name), "a boolean", value)
        return value

    def integer(self, name: str, low: int, high: int) -> int | None:
        """The field as an integer from `low` to `high`, or None."""
        value = self.json.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            raise wrong_type(self.named(name), "an integer", value)
        if not low <= value <= high:
            raise wrong_value(self.named(name), value, f"Expected an integer from {low} to {high}.")
        return value

    def number(self, name: str, low: float, high: float) -> float | None:
        """The field as a number from `low` to `high`, or None."""
        value = self.json.get(name)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise wrong_type(self.named(name), "a decimal number", value)
        if not low <= value <= high:
            raise wrong_value(self.named(name), value, f"Expected a number from {low:g} to {high:g}.")
        return value

    def choice(self, name: str, allowed: tuple[str, ...]) -> str | None:
        """The field as one of some words, or None."""
        value = self.text(name)
        if value is not None and value not in allowed:
            raise wrong_value(self.named(name), value, f"Supported values are: {', '.join(map(repr, allowed))}.")
        return value

    def object(self, name: str) -> "Fields | None":
        """The field as an object of fields, or None."""
        value = self.json.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise wrong_type(self.named(name), "an object", value)
        return Fields(value, self.named(name))

    def objects(self, name: str) -> "list[Fields]":
        """The field as a list of objects; absent is empty."""
        value = self.json.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise wrong_type(self.named(name), "an array of objects", value)
        found = []
        for index, item in enumerate(value):
            path = f"{self.named(name)}[{index}]"
            if not isinstance(item, dict):
                raise wrong_type(path, "an object", item)
            found.append(Fields(item, path))
        return found

    def texts(self, name: str, most: int) -> tuple[str, ...]:
        """The field as a text or a list of up to `most` texts; absent is empty."""
        value = self.json.get(name)
        if value is None:
            return ()
        if isinstance(value, str):
            return (value,)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise wrong_type(self.named(name), "a string or an array of strings", value)
        if len(value) > most:
            raise wrong_value(self.named(name), len(value), f"Expected at most {most} items.")
        return tuple(value)
