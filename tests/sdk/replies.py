"""The model behind every simulated provider: what it makes of a request, whatever dialect that came in.

A provider reads a request strictly into Seen, as its public API reference says: what is missing, unknown or contradictory is
refused, in its own form. What the model answers depends on the request alone, so that an answer proves what has arrived.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tests.sdk.scenes import CITIES, EVERYTHING, FORBIDDEN, PARAMETERS, SCHEMA, TOOL

type Json = dict[str, Any]

CREATED = 1_767_225_600  # 2026-01-01T00:00:00Z, Unix seconds
INPUT, CACHED, OUTPUT, REASONING = 21, 4, 8, 5  # tokens; of input CACHED are cached, REASONING come on top of OUTPUT
THOUGHTS = "Let me see: what is asked, und wo? 🤔"
PROOF = "c2lnbmVkIGJ5IHRoZSBwcm92aWRlcg=="
FAILING = "Once upon a time there was a gateway"  # what a stream says before it fails


class Wrong(Exception):
    """The provider refuses the request: its client has made a mistake."""


class Forbidden(Wrong):
    """It has no such field, or not with that in it."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A call of a tool. `arguments` as JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(slots=True, kw_only=True)
class Seen:
    """A request. `proof`: what has come back of the signature that the model gave to its thoughts."""

    system: str = ""
    text: str = ""  # the last thing that the user has said
    images: list[tuple[str, bytes]] = field(default_factory=list)
    documents: list[tuple[str, bytes]] = field(default_factory=list)
    tools: dict[str, Json] = field(default_factory=dict)
    calls: list[ToolUse] = field(default_factory=list)
    results: list[tuple[str, str]] = field(default_factory=list)  # id, text; in their order
    schema: Json | None = None
    thinks: bool = False
    shows_thoughts: bool = False
    proof: str = ""
    stream: bool = False
    stop: list[str] = field(default_factory=list)
    several: int = 1
    logprobs: bool = False
    forced: str = ""  # the tool that must be called
    is_bounded: bool = True  # by the cap that every request has


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the model says. `proof` signs the thoughts, or the first call; `reasoning`: tokens that are counted for them."""

    text: str = ""
    calls: tuple[ToolUse, ...] = ()
    thoughts: str = ""
    proof: str = ""
    several: int = 1
    logprobs: bool = False
    ended: Literal["", "cut", "filtered"] = ""  # in another way than by itself
    reasoning: int = 0

    @property
    def output(self) -> int:
        """Tokens, thoughts included."""
        return OUTPUT + self.reasoning


def only(value: Mapping[str, Any], *names: str, at: str = "") -> None:
    """Raises Forbidden for a field that is none of these."""
    if unknown := sorted(set(value) - set(names)):
        raise Forbidden(f"{at}{unknown[0]}", "unknown field")


def need(condition: object, message: str) -> None:
    """Raises Wrong unless it holds."""
    if not condition:
        raise Wrong(message)


def reply_to(seen: Seen, *, ids: str, proves: bool = True, counts: bool = True) -> Reply:
    """The model's answer. `ids`: what ids of calls begin with; empty: they have none. Raises Wrong.

    `proves`: it signs what it thinks, and wants that back with the results of tools. `counts`: it tells what its thoughts were.
    """
    made = _said(seen, ids, proves=proves)
    thoughts = THOUGHTS if seen.shows_thoughts else ""
    proof = PROOF if seen.thinks and proves else ""
    return replace(made, thoughts=thoughts, proof=proof, reasoning=REASONING if seen.thinks and counts else 0)


def _said(seen: Seen, ids: str, *, proves: bool) -> Reply:
    if seen.results:
        return Reply(text=_report(seen, ids, wanted=PROOF if seen.thinks and proves else ""))
    if seen.tools:
        need(seen.tools.keys() == {TOOL}, f"tools: {sorted(seen.tools)}")
        need(plain(seen.tools[TOOL]) == plain(PARAMETERS), f"parameters: {seen.tools[TOOL]}")
        need(seen.forced in ("", TOOL), f"forced: {seen.forced}")
        # Forced to call the tool, the model finds a city of its own.
        cities = [city for city in CITIES if city in seen.text] or (list(CITIES[:1]) if seen.forced else [])
        calls = [
            ToolUse(f"{ids}{number}Ab9" if ids else "", TOOL, json.dumps({"city": city}, ensure_ascii=False))
            for number, city in enumerate(cities)
        ]
        return Reply(calls=tuple(calls)) if calls else Reply(text="There is nothing to call for.")
    if seen.schema is not None:
        need(plain(seen.schema) == plain(SCHEMA), f"schema: {seen.schema}")
        return Reply(text='{"city":"Tromsø","degrees":-7}')
    if seen.text in (EVERYTHING, FORBIDDEN):
        return Reply(text="I know much", ended="cut" if seen.text == EVERYTHING else "filtered")
    more = [*seen.images, *seen.documents]
    things = "".join(f" [{kind} {hashlib.sha256(data).hexdigest()[:8]}]" for kind, data in more)
    text = f"{seen.text}{things} ({seen.system})"
    if seen.stop:
        text = text.partition(seen.stop[0])[0]
    if not seen.is_bounded:
        text += " and so on and so forth"
    return Reply(text=text, several=seen.several, logprobs=seen.logprobs)


def _report(seen: Seen, ids: str, *, wanted: str) -> str:
    need(len(seen.calls) == len(seen.results), f"{len(seen.calls)} calls, {len(seen.results)} results")
    if ids:
        need(
            [call.id for call in seen.calls] == [key for key, _ in seen.results],
            "ids of results are not those of calls",
        )
        need(
            [call.id for call in seen.calls] == [f"{ids}{n}Ab9" for n in range(len(seen.calls))],
            "ids are not the model's",
        )
    need(not wanted or seen.proof == wanted, f"the proof of the thoughts is missing: {seen.proof!r}")
    said = [
        f"{json.loads(call.arguments)['city']}: {text}"
        for call, (_, text) in zip(seen.calls, seen.results, strict=True)
    ]
    return "; ".join(said)


def plain(schema: Any) -> Any:
    """A schema without what dialects and clients put in beside its meaning."""
    if isinstance(schema, dict):
        left_out = {"title", "additionalProperties", "description", "propertyOrdering", "property_ordering", "$schema"}
        lowered = {"type": lambda value: value.lower() if isinstance(value, str) else value}
        return {key: lowered.get(key, plain)(value) for key, value in schema.items() if key not in left_out}
    return [plain(each) for each in schema] if isinstance(schema, list) else schema


def pieces(text: str, size: int = 5) -> list[str]:
    """A text as a stream brings it."""
    return [text[place : place + size] for place in range(0, len(text), size)]
