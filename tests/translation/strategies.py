"""What canonical answers and streams may look like, for property tests of any dialect. Arguments of tools are JSON objects."""

import json
from typing import Any

from hypothesis import strategies as st

from apps.providers.translation import form
from apps.providers.usage import Usage

ORIGINS = ("openai", "anthropic", "gemini", "openai_responses")
WHOLE_FINISHES = ("stop", "stop_sequence", "length", "content_filter", "pause")

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=12) | st.sampled_from(
    ["Hello", "\n\n", '"quoted"', "data: [DONE]", "\u2028", "ä€😀", "\\", "\x00", "</think>"]
)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,11}", fullmatch=True)
SIGNATURES = st.from_regex(r"[A-Za-z0-9+/]{4,24}={0,2}", fullmatch=True)
ARGUMENTS = st.dictionaries(st.text(max_size=4), st.integers(-9, 9) | st.text(max_size=6) | st.none(), max_size=3).map(
    json.dumps
)
COUNTS = st.integers(0, 5000)
CITATIONS = st.builds(
    form.Citation,
    url=st.sampled_from(["https://a.example/1", "https://b.example/ä", ""]),
    title=st.text(max_size=6),
    start=st.none(),
    end=st.none(),
    quoted=st.text(max_size=6),
)
IMAGES = st.builds(form.Image, data=st.just("AAAA"), media_type=st.just("image/png")) | st.builds(
    form.Image, url=st.just("https://pictures.example/1.png")
)


def usages() -> st.SearchStrategy[Usage]:
    """Usage without a mismatch; `reasoning` is inside `output`."""
    return st.builds(
        lambda **parts: Usage(**parts | {"reasoning": min(parts["reasoning"], parts["output"])}),
        input=COUNTS,
        cache_read=st.none() | COUNTS,
        cache_write_5m=st.none() | COUNTS,
        output=COUNTS,
        reasoning=COUNTS,
    )


@st.composite
def cuts(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """The same bytes in pieces, cut anywhere."""
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


@st.composite
def calls(draw: st.DrawFn, choice: int, first: int, *, custom: bool) -> list[form.Event]:
    """Calls of tools, numbered from `first`, whose pieces may come in between each other."""
    begun: list[form.Event] = []
    pieces: list[list[form.Event]] = []
    for index in range(first, first + draw(st.integers(1, 3))):
        origin = draw(st.sampled_from(ORIGINS))
        signature = draw(st.just("") | SIGNATURES)
        begun.append(
            form.ToolBegun(
                index,
                f"call_{choice}_{index}",
                draw(NAMES),
                choice,
                signature,
                origin if signature else "",
                custom and draw(st.booleans()),
            )
        )
        arguments = draw(ARGUMENTS)
        cut = draw(st.integers(0, len(arguments)))
        pieces.append([form.ToolDelta(index, piece, choice) for piece in (arguments[:cut], arguments[cut:]) if piece])
    if draw(st.booleans()):
        return [event for one, its in zip(begun, pieces, strict=True) for event in [one, *its]]
    waiting = [[one, *its] for one, its in zip(begun, pieces, strict=True)]
    mixed: list[form.Event] = []
    while waiting:
        # A call may begin only after those before it.
        ready = [
            one
            for place, one in enumerate(waiting)
            if not isinstance(one[0], form.ToolBegun) or not _begins_before(waiting, place)
        ]
        one = draw(st.sampled_from(ready))
        mixed.append(one.pop(0))
        waiting = [each for each in waiting if each]
    return mixed


def _begins_before(waiting: list[list[form.Event]], place: int) -> bool:
    return any(isinstance(one[0], form.ToolBegun) for one in waiting[:place])


@st.composite
def thoughts(draw: st.DrawFn, choice: int) -> list[form.Event]:
    """Thoughts, signed or not, or such as nobody may see."""
    if draw(st.integers(0, 4)) == 0:
        return [form.Signed(draw(SIGNATURES), draw(st.sampled_from(ORIGINS)), redacted=True, choice=choice)]
    events: list[form.Event] = [
        form.ThinkingDelta(text, choice) for text in draw(st.lists(TEXTS, min_size=1, max_size=3))
    ]
    if draw(st.booleans()):
        events.append(form.Signed(draw(SIGNATURES), draw(st.sampled_from(ORIGINS)), choice=choice))
    return events


@st.composite
def said(draw: st.DrawFn, choice: int) -> list[form.Event]:
    """Text, with citations of it, or a refusal, or a picture."""
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return [form.RefusalDelta(text, choice) for text in draw(st.lists(TEXTS, min_size=1, max_size=2))]
    if kind == 1:
        return [form.ImageMade(draw(IMAGES), choice)]
    events: list[form.Event] = [form.TextDelta(text, choice) for text in draw(st.lists(TEXTS, min_size=1, max_size=4))]
    return events + [form.Cited(citation, choice) for citation in draw(st.lists(CITATIONS, max_size=1))]


@st.composite
def answers_in_pieces(draw: st.DrawFn, choice: int = 0, *, custom: bool = False) -> list[form.Event]:
    """All events of one of the answers, `Finished` at its end."""
    events: list[form.Event] = []
    index = 0
    for kind in draw(st.lists(st.integers(0, 5), max_size=5)):
        if kind == 0:
            events += draw(thoughts(choice))
        elif kind <= 3:
            events += draw(said(choice))
        else:
            events += (made := draw(calls(choice, index, custom=custom)))
            index += sum(isinstance(event, form.ToolBegun) for event in made)
    finish: Any = "tool_calls" if index else draw(st.sampled_from(WHOLE_FINISHES))
    stopped_by = "END" if finish == "stop_sequence" else ""
    return [*events, form.Finished(finish, choice, stopped_by)]


@st.composite
def streams(
    draw: st.DrawFn, *, choices: int = 1, custom: bool = False, pings: bool = True, whole: bool = False
) -> list[form.Event]:
    """A legal sequence of events, as any reader may give it. `choices`: as many answers at most. `whole`: it ends well.

    Otherwise it may also fail, at once or in the middle, or break off.
    """
    failed = form.Failed(
        message=draw(st.text(max_size=20)), type="server_error", code=draw(st.sampled_from(["", "boom"]))
    )
    ending = draw(st.sampled_from(["whole"] if whole else ["whole", "whole", "fails", "breaks", "fails at once"]))
    if ending == "fails at once":
        return [failed]
    waiting = [draw(answers_in_pieces(place, custom=custom)) for place in range(draw(st.integers(1, choices)))]
    body: list[form.Event] = []
    while waiting:
        one = draw(st.sampled_from(waiting))
        body.append(one.pop(0))
        waiting = [each for each in waiting if each]
    for event in draw(st.lists(st.sampled_from([form.Ping()] if pings else []), max_size=2)) if pings else []:
        body.insert(draw(st.integers(0, len(body))), event)
    for usage in draw(st.lists(usages(), max_size=2)):
        body.insert(draw(st.integers(0, len(body))), form.Used(usage))
    if draw(st.booleans()):
        body.append(form.Used(draw(usages())))
    begun = form.Begun(draw(st.sampled_from(["", "upstream-1"])), "their-model", draw(st.none() | usages()))
    match ending:
        case "whole":
            return [begun, *body, form.Ended()]
        case "fails":
            return [begun, *body[: draw(st.integers(0, len(body)))], failed]
        case _:
            return [begun, *body[: draw(st.integers(0, len(body)))]]


def disordered() -> st.SearchStrategy[list[form.Event]]:
    """Events in an order that no reader gives."""
    choice, index = st.integers(0, 1), st.integers(0, 2)
    finishes: st.SearchStrategy[Any] = st.sampled_from(["", "stop", "length", "tool_calls"])
    event: st.SearchStrategy[form.Event] = st.one_of(
        st.builds(form.Begun, TEXTS, TEXTS, st.none() | usages()),
        st.builds(form.TextDelta, TEXTS | st.just(""), choice),
        st.builds(form.RefusalDelta, TEXTS, choice),
        st.builds(form.ThinkingDelta, TEXTS, choice),
        st.builds(form.Signed, SIGNATURES, st.sampled_from(ORIGINS), st.booleans(), choice),
        st.builds(form.ToolBegun, index, st.just("call_1"), NAMES, choice),
        st.builds(form.ToolDelta, index, st.just("{}"), choice),
        st.builds(form.Cited, CITATIONS, choice),
        st.builds(form.ImageMade, IMAGES, choice),
        st.just(form.Ping()),
        st.builds(form.Finished, finishes, choice),
        st.builds(form.Used, usages()),
        st.just(form.Ended()),
        st.builds(form.Failed, message=TEXTS),
    )
    return st.lists(event, max_size=12)


@st.composite
def in_batches(draw: st.DrawFn, events: list[form.Event]) -> list[list[form.Event]]:
    """The same events, as several feeds give them."""
    places = sorted(draw(st.lists(st.integers(0, len(events)), max_size=4)))
    return [events[start:end] for start, end in zip([0, *places], [*places, len(events)], strict=True)]


@st.composite
def parts(draw: st.DrawFn) -> list[form.Part]:
    """What a whole answer says."""
    found: list[form.Part] = []
    for index, kind in enumerate(draw(st.lists(st.integers(0, 6), max_size=5))):
        signature = draw(st.just("") | SIGNATURES)
        origin = draw(st.sampled_from(ORIGINS)) if signature else ""
        match kind:
            case 0:
                found.append(form.Thinking(text=draw(TEXTS), signature=signature, origin=origin))
            case 1 if signature:
                found.append(form.Thinking(signature=signature, origin=origin, redacted=True))
            case 2 | 3:
                found.append(form.Text(draw(TEXTS), citations=draw(st.lists(CITATIONS, max_size=1))))
            case 4:
                found.append(form.Refusal(draw(TEXTS)))
            case 5:
                found.append(form.Image(data="AAAA", media_type="image/png"))
            case _:
                found.append(
                    form.ToolCall(
                        id=f"call_{index}",
                        name=draw(NAMES),
                        arguments=draw(ARGUMENTS),
                        signature=signature,
                        origin=origin,
                    )
                )
    return found


@st.composite
def answers(draw: st.DrawFn, *, choices: int = 1) -> form.Answer:
    """A whole answer. `choices`: as many at most."""
    found = []
    for _ in range(draw(st.integers(1, choices))):
        said_parts = draw(parts())
        has_calls = any(isinstance(part, form.ToolCall) for part in said_parts)
        finish: Any = "tool_calls" if has_calls else draw(st.sampled_from(WHOLE_FINISHES))
        found.append(
            form.Choice(parts=said_parts, finish=finish, stopped_by="END" if finish == "stop_sequence" else "")
        )
    return form.Answer(choices=found, id="upstream-1", model="their-model", usage=draw(st.none() | usages()))


def words(text: str) -> st.SearchStrategy[str]:
    """One of the words of a text."""
    return st.sampled_from(text.split())


def json_values(names: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Any JSON, with these names, so that arbitrary values come to stand where a reader looks."""
    return st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | TEXTS
        | names,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6),
        max_leaves=24,
    )
