"""Whole answers as clients read them. Pure."""

from itertools import count

import orjson

from apps.providers.translation.form import (
    Answer,
    Choice,
    Image,
    Json,
    Part,
    Refusal,
    Request,
    Text,
    Thinking,
    ToolCall,
)
from apps.providers.translation.responses import output
from apps.providers.translation.responses.keeping import keep_call, keep_thoughts
from apps.providers.translation.responses.names import tool_names
from apps.providers.translation.responses.usage import estimated, tier_shown, usage_json, written
from apps.providers.translation.spoken import Shown


def write_answer(answer: Answer, request: Request, shown: Shown) -> bytes:
    """A response, with the first of the answers: there is only one here."""
    choice = answer.choices[0] if answer.choices else Choice(parts=[])
    items = _Items(request, shown, choice).items
    usage = answer.usage or estimated(shown.input_tokens, written(items))
    begun = output.response(request, shown)
    tier = tier_shown(answer.service_tier or usage.tier)
    return orjson.dumps(output.ended(begun, choice.finish, items, usage_json(usage), tier))


class _Items:
    """The output of one answer. Texts that follow one another are one message."""

    def __init__(self, request: Request, shown: Shown, choice: Choice) -> None:
        self.items: list[Json] = []
        self._id = shown.id
        self._names = tool_names(request.echo.get("tools"))
        self._calls = set[str]()
        content = choice.logprobs.get("content") if choice.logprobs else None
        self._likelihoods = output.logprobs(content if isinstance(content, list) else ())
        for part in choice.parts:
            self._take(part)
        last = self.items[-1] if self.items else {}
        if choice.finish in output.INCOMPLETE and last.get("type") in ("message", "function_call", "custom_tool_call"):
            last["status"] = "incomplete"

    def _take(self, part: Part) -> None:
        match part:
            case Text():
                length = len(part.text)
                notes = [note for cited in part.citations if (note := output.annotation(cited, length)) is not None]
                self._say(output.text_part(part.text, notes, self._likelihoods))
                self._likelihoods = []  # they are the answer's: told once
            case Refusal():
                self._say(output.refusal_part(part.text))
            case Thinking():
                kept = keep_thoughts(part.signature, part.origin, redacted=part.redacted)
                if part.text or kept:
                    self.items.append(output.reasoning(self._next("rs"), part.text, kept))
            case ToolCall():
                self._call(part)
            case Image(data=""):
                self._say(output.text_part(output.linked(part), [], []))
            case Image():
                self.items.append(output.picture(self._next("ig"), part))

    def _say(self, content: Json) -> None:
        if not self.items or self.items[-1]["type"] != "message":
            self.items.append(output.message(self._next("msg"), "completed", []))
        self.items[-1]["content"].append(content)

    def _call(self, call: ToolCall) -> None:
        own_id = unused(call.id, self._calls, self._id)
        if kept := keep_call(own_id, call.signature, call.origin):
            self.items.append(output.reasoning(self._next("rs"), "", kept))
        item_id = self._next("ctc" if call.custom else "fc")
        arguments = call.arguments if call.custom else call.arguments or "{}"
        self.items.append(
            output.call(item_id, "completed", own_id, call.name, arguments, custom=call.custom, names=self._names)
        )

    def _next(self, prefix: str) -> str:
        return f"{prefix}_{self._id}_{len(self.items)}"


def unused(call: str, used: set[str], answer: str) -> str:
    """The id of a call, or another where there is none or it is taken: clients tell calls by it. Adds it to those used."""
    if not call or call in used:
        call = next(made for number in count(len(used)) if (made := f"call_{answer}_{number}") not in used)
    used.add(call)
    return call
