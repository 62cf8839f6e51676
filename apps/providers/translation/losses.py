"""What a request loses on its way into another dialect: named, or refused, never silent unless an operator wants it so. Pure.

strict  anything that is lost is refused
warn    hints are left out and named in the answer's header; what would change the meaning is refused (the default)
drop    whatever can be left out is left out, and nobody is told
"""

import re
from typing import NoReturn

from apps.core.errors import UnsupportedParameter
from apps.providers.translation.called import Called

STRICT = "strict"
_NAMES_MAX = 32
_NAME_MAX = 100  # characters
_UNPRINTABLE = re.compile(r"[^!-~]|,")


class Losses:
    """Gathers what one request loses on its way to one provider. `target`: as messages name it, such as "Anthropic's Messages".

    `called`: what the client calls a field that is named in chat's words; it may be set anew on the way.
    """

    __slots__ = ("_mode", "called", "names", "target")

    def __init__(self, mode: str, target: str) -> None:
        self._mode = mode
        self.target = target
        self.called: Called = str
        self.names: list[str] = []  # JSON paths in the client's words, in order, each once

    def hint(self, field: str) -> None:
        """`field` is left out: the answer is about the same without it. Raises UnsupportedParameter in strict mode."""
        if self._mode == STRICT:
            self.impossible(field)
        name = shown(self.called(field))
        if name not in self.names and len(self.names) < _NAMES_MAX:
            self.names.append(name)

    def meaning(self, field: str, remedy: str = "") -> None:
        """`field` cannot be kept, and the answer may be another without it. Raises UnsupportedParameter but in drop mode.

        `remedy`: a sentence on what to do, after the one that says what is wrong.
        """
        if self._mode != "drop":
            self.impossible(field, remedy)
        self.hint(field)

    def impossible(self, field: str, remedy: str = "") -> NoReturn:
        """Without `field` there is no request. Raises UnsupportedParameter."""
        field = self.called(field)
        message = f"'{field}' cannot be expressed in {self.target}, which serves this model."
        raise UnsupportedParameter(f"{message} {remedy}".rstrip(), param=field)

    @property
    def header(self) -> str:
        """What the answer's header tells; empty: nothing."""
        return "" if self._mode == "drop" else ", ".join(self.names)


def shown(field: str) -> str:
    """A field's path as a header and a message can tell it: clients may call their fields anything."""
    return _UNPRINTABLE.sub("?", field[:_NAME_MAX])
