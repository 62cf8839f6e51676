"""What the sandbox says: canned sentences chosen by the question's digest, calls of the tools it names, or JSON."""

import hashlib
from dataclasses import dataclass
from itertools import cycle
from typing import Literal

import orjson

from apps.providers.sandbox.ask import TOKEN, Ask, Tool, tokens
from apps.providers.sandbox.values import value_for

type Finish = Literal["stop", "length", "tool_calls", "content_filter"]

OPENING = "This answer comes from the Tollgate sandbox; no model was asked."
LEAST = 24  # tokens of an ordinary text at least; with the sentence that overshoots, 66 at most
_ECHO = 48  # characters of the user's text that are repeated
_SENTENCES = (
    "A toll is paid at the gate, not on the road.",
    "The lamp above the gate burns through the night.",
    "Every cart is counted, and every count is kept.",
    "A good ledger can be read by a stranger.",
    "The keeper knows the road by its travellers.",
    "Rain makes the queue longer, never the toll.",
    "Whoever shows a token passes without a word.",
    "The bridge is old, but the planks are new.",
    "At dusk the last coach pays for the first.",
    "Two roads meet here, and both are busy.",
    "The scales are checked before the market opens.",
    "A broken axle delays everyone behind it.",
    "What is written down need not be remembered.",
    "The river is slow in summer and honest in spring.",
    "Small coins make the longest rows.",
    "The gate opens outward, as gates should.",
)


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call: `arguments` is JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Said:
    """One answer."""

    text: str
    calls: tuple[Call, ...]
    finish: Finish
    output_tokens: int  # the reasoning pretended at included
    reasoning_tokens: int


def answer(ask: Ask, variation: int = 0, *, chunks: int | None = None) -> Said:
    """What to say. `variation` tells the `n` choices of one request apart; `chunks` asks for exactly so many tokens."""
    digest = hashlib.blake2b(ask.seed, key=variation.to_bytes(2), digest_size=24).digest()
    reasoning = min(ask.reasoning_tokens, ask.limit or ask.reasoning_tokens)
    if calls := _calls(ask, digest):
        spoken = sum(tokens(call.name) + tokens(call.arguments) for call in calls)
        # OpenAI finishes with `stop` when the caller itself named the function.
        return Said("", calls, "stop" if ask.choice.startswith("=") else "tool_calls", spoken + reasoning, reasoning)
    if ask.wants_json:
        text = _json(ask, digest)
    elif chunks:
        text = _long(digest, chunks)
    else:
        text = _short(ask, digest)
    finish: Finish = "stop"
    if found := [at for at in (text.find(word) for word in ask.stop if word) if at >= 0]:
        text = text[: min(found)]
    if ask.limit is not None and tokens(text) > ask.limit - reasoning:
        text, finish = text[: (ask.limit - reasoning) * TOKEN], "length"
    if ask.model.behaviour.filtered:
        text, finish = text[: len(text) // 2], "content_filter"
    return Said(text, (), finish, tokens(text) + reasoning, reasoning)


def pieces(text: str) -> list[str]:
    """A text in tokens, as a stream sends it."""
    return [text[at : at + TOKEN] for at in range(0, len(text), TOKEN)]


def _calls(ask: Ask, digest: bytes) -> tuple[Call, ...]:
    if not ask.tools or ask.choice == "none":
        return ()
    if ask.choice.startswith("="):
        called = [tool for tool in ask.tools if tool.name == ask.choice[1:]][:1]
    else:
        if ask.results and ask.choice == "auto":
            return ()  # the tools have answered: now we talk
        called = _named(ask)
        if not called and ask.choice == "required":
            called = [ask.tools[0]]
    if not ask.parallel:
        called = called[:1]
    return tuple(
        Call(f"call_{digest.hex()[:20]}{number:04d}", tool.name, orjson.dumps(value_for(tool.parameters)).decode())
        for number, tool in enumerate(called)
    )


def _named(ask: Ask) -> list[Tool]:
    """The tools whose names the user's text contains, in any case and with spaces for underscores or hyphens."""
    text = _plain(ask.user_text)
    if named := [tool for tool in ask.tools if _plain(tool.name) in text]:
        return named
    return list(ask.tools[:1]) if "call a tool" in text or "use a tool" in text else []


def _plain(text: str) -> str:
    return text.lower().replace("_", " ").replace("-", " ")


def _json(ask: Ask, digest: bytes) -> str:
    if ask.schema is not None:
        return orjson.dumps(value_for(ask.schema)).decode()
    return orjson.dumps({"sandbox": True, "answer": _short(ask, digest)}).decode()


def _short(ask: Ask, digest: bytes) -> str:
    """The opening, an echo of the user or of the tools, and sentences until the length that the digest asks for."""
    parts = [OPENING]
    if ask.results:
        parts.append(f'The tool answered "{_shortened(ask.results[-1])}".')
    elif ask.user_text:
        parts.append(f'You said "{_shortened(ask.user_text)}".')
    wanted = (LEAST + digest[0] % 29) * TOKEN
    length = sum(map(len, parts)) + len(parts) - 1
    for byte in digest[1:]:
        if length >= wanted:
            break
        sentence = _SENTENCES[byte % len(_SENTENCES)]
        parts.append(sentence)
        length += len(sentence) + 1
    return " ".join(parts)


def _long(digest: bytes, chunks: int) -> str:
    wanted, parts, length = chunks * TOKEN, [OPENING], len(OPENING)
    for byte in cycle(digest):
        if length >= wanted:
            return " ".join(parts)[:wanted]
        parts.append(_SENTENCES[byte % len(_SENTENCES)])
        length += len(parts[-1]) + 1
    raise AssertionError("a cycle does not end")


def _shortened(text: str) -> str:
    words = " ".join(text[: 4 * _ECHO].split())
    return words if len(words) <= _ECHO else words[: _ECHO - 1] + "…"
