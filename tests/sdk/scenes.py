"""What a client asks and what it hears, the same words for every official client, so that one scene is played by all of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

SYSTEM = "Be brief."
PROMPT = "Grüße from Köln 🌍, traveller"
TOOL = "weather"
ABOUT = "Tells the weather of a city."
PARAMETERS: Mapping[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "Its name"}},
    "required": ["city"],
    "additionalProperties": False,
}
FORMAT = "report"
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
    "required": ["city", "degrees"],
    "additionalProperties": False,
}
ONE_CITY, TWO_CITIES = "How is Tromsø?", "How are Tromsø and Bergen?"
CITIES = ("Tromsø", "Bergen")
WEATHER: Mapping[str, str] = {"Tromsø": "snow ❄", "Bergen": "rain"}
EVERYTHING = "Tell me everything, traveller"  # what the model is cut short at
FORBIDDEN = "Tell me what nobody may know"  # what is filtered
MOST = 2000  # output tokens


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool. `id` is empty where the client's dialect has none."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a client has heard. Tokens are totals: what was cached is input, what was thought is output."""

    text: str
    calls: tuple[Call, ...]
    thoughts: str
    finish: str  # in the client's own words
    tokens: tuple[int, int]  # input, output
    turn: Any  # the answer as the client gives it back in its next request
    logprob: float | None = None  # of the first token


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request, in no client's words. `before`: an earlier answer, and what its calls have brought, in their order."""

    model: str
    text: str = PROMPT
    image: bytes | None = None
    document: bytes | None = None
    tool: bool = False
    force: bool = False  # the tool must be called
    schema: bool = False
    think: bool = False
    stream: bool = False
    stop: str = ""
    several: int = 0
    logprobs: bool = False
    before: tuple[Said, tuple[str, ...]] | None = None


@dataclass(slots=True)
class Refused(Exception):
    """A client has raised an error of its own. `status` 0: it has none, as the answer had begun; `begun`: the text until then."""

    status: int
    kind: str  # the class of the client's error
    message: str
    retry_after: str = ""
    begun: str = ""
    param: str = ""


class Client(Protocol):
    """An official client."""

    name: str
    dialect: str  # chat, responses, messages, gemini

    def ask(self, ask: Ask) -> Said:
        """Raises Refused."""

    def close(self) -> None:
        """Let go of its connections."""
