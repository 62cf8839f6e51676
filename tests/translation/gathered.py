"""What a sequence of canonical events says in the end, however it is cut into pieces."""

import json
from dataclasses import dataclass, field
from typing import Any

from apps.providers.translation import form
from apps.providers.usage import Usage

_COARSE = {"stop_sequence": "stop", "pause": "stop", "": "stop"}  # what most dialects can tell apart


@dataclass
class Said:
    """One of the answers."""

    text: str = ""
    refusal: str = ""
    thinking: str = ""
    signatures: list[str] = field(default_factory=list)
    calls: dict[int, list[str]] = field(default_factory=dict)  # id, name, arguments
    citations: list[form.Citation] = field(default_factory=list)
    images: list[form.Image] = field(default_factory=list)
    finish: str | None = None

    def called(self) -> list[tuple[str, str, Any]]:
        """Calls in order: id, name and what the arguments mean."""
        return [(call_id, name, json.loads(arguments)) for call_id, name, arguments in self.calls.values()]


@dataclass
class Gathered:
    """A stream."""

    choices: dict[int, Said] = field(default_factory=dict)
    usage: Usage | None = None
    begun: int = 0
    ended: bool = False
    failed: form.Failed | None = None


def gathered(events: list[form.Event]) -> Gathered:
    """What the events say. Raises AssertionError for a sequence that no reader may give."""
    found = Gathered()
    for event in events:
        assert not found.ended, "nothing follows Ended"
        assert found.failed is None, "nothing follows Failed"
        match event:
            case form.Begun():
                found.begun += 1
                assert found.begun == 1
                assert not found.choices, "Begun is first"
                found.usage = event.usage
            case form.Used():
                found.usage = event.usage
            case form.Ended():
                assert found.begun
                found.ended = True
            case form.Failed():
                found.failed = event
            case form.Ping():
                pass
            case _:
                assert found.begun, "Begun is first"
                said = found.choices.setdefault(event.choice, Said())
                assert said.finish is None, "an answer that is over says nothing more"
                _hear(said, event)
    return found


def _hear(said: Said, event: Any) -> None:
    match event:
        case form.TextDelta():
            said.text += event.text
        case form.RefusalDelta():
            said.refusal += event.text
        case form.ThinkingDelta():
            said.thinking += event.text
        case form.Signed():
            said.signatures.append(event.signature)
        case form.ToolBegun():
            assert event.index == len(said.calls), "calls are numbered from 0 without gaps"
            assert event.id
            assert event.name
            said.calls[event.index] = [event.id, event.name, ""]
        case form.ToolDelta():
            said.calls[event.index][2] += event.arguments
        case form.Cited():
            said.citations.append(event.citation)
        case form.ImageMade():
            said.images.append(event.image)
        case form.Finished():
            said.finish = _COARSE.get(event.finish, event.finish)
