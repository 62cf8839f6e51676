"""Before a call: how many tokens it may use at most, and about how many it will. Pure.

The bound holds for any provider: no tokenizer makes more tokens than there are bytes. What a request only points at (pictures,
files, earlier answers) is bounded by the model's context, or by a generous figure where that is not known.
"""

import re

import msgspec

from apps.providers.dialects.heads import Head

OUTPUT_UNKNOWN = 16_384  # output tokens of a model whose longest answer nobody has told us
_CONTEXT_UNKNOWN = 1_000_000
_ATTACHED = 100_000  # tokens of one picture or file, whatever its bytes
_SEARCHES = 10  # web searches of one call, where the request does not say how many
OUTPUT_USUAL = 256  # tokens, while nothing is known of a model's answers

# What a request's web search is named by; a function of the client's own may be called so without being one.
_SEARCH = re.compile(rb'"(?:type"\s*:\s*"web_search|web_search_options"|google_?[sS]earch)')
# An earlier answer's sound, named by its id.
_SOUND = re.compile(rb'"audio"\s*:\s*\{\s*"id"')
# Letters, digits and punctuation written as escapes, which nobody does but to hide a word.
_ESCAPED = re.compile(rb"\\u00([2-7][0-9a-fA-F])")

# An inlined image or file: as a data URL, or as `data` beside Anthropic's `"type": "base64"` and in Gemini's `inlineData`.
_INLINED = re.compile(rb'data:[\w/+.-]*;base64,[A-Za-z0-9+/=]*|"data"\s*:\s*"[A-Za-z0-9+/=]{256,}"')
_INLINED_TOKENS = 1_000  # of each, whatever its bytes


def estimated_input(body: bytes) -> int:
    """Input tokens of a request whose provider never said: four bytes a token, and a round figure for each inlined file."""
    if b";base64," not in body and b'"base64"' not in body and b'"inline' not in body:
        return (len(body) + 3) // 4
    text, files = _INLINED.subn(b"", body)
    return (len(text) + 3) // 4 + files * _INLINED_TOKENS


class Bounds(msgspec.Struct, frozen=True):
    """The most that one call can use."""

    input_tokens: int
    output_tokens: int
    audio: bool
    images: bool
    searches: int
    pictures: int = 0
    characters: int = 0
    seconds: int = 0  # of sound
    units: int = 0  # searches that are paid for where the model is not billed in tokens


def bounds(
    head: Head, body: bytes, *, output: bool, output_cap: int | None, context: int | None, longest: int | None
) -> Bounds:
    """`output`: whether the endpoint writes at all. `output_cap`: what the request or a policy allows, by answer.

    `context`, `longest`: the model's largest input and output in tokens, where known.
    """
    searches = 0
    most = len(body)
    if b"\\u00" in body:
        body = _ESCAPED.sub(_unescaped, body)
    pointers = sum([body.count(word) for word in head.pointers])
    most += pointers * _ATTACHED
    images = pointers > 0
    audio = b'"input_audio' in body or b'"audio/' in body
    if head.points_elsewhere:
        most = max(most, context or _CONTEXT_UNKNOWN)
    elif b'"audio"' in body:
        most += len(_SOUND.findall(body)) * _ATTACHED
    if context is not None and output:  # the context of a model that embeds is that of each text alone
        most = min(most, context * head.answers)  # several answers may be to as many prompts
    if (b'"web_search' in body or b'"google' in body) and _SEARCH.search(body):
        searches = _SEARCHES if (asked := head.max_searches) is None else asked
    if (b'"modalities"' in body and b'"audio"' in body) or b'"AUDIO"' in body:
        audio = True
    if not output:
        return Bounds(most, 0, audio, images, searches)
    cap = output_cap or longest or OUTPUT_UNKNOWN  # a cap of 0 is none that a provider knows
    return Bounds(most, cap * head.answers, audio, images, searches)


def _unescaped(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 16)])


class Typical:
    """What calls of one model have used and cost lately: a moving average, and how far they stray from it."""

    __slots__ = ("_cost", "_deviation", "_output", "count")

    _WEIGHT = 0.05
    _ENOUGH = 20  # calls, before anything is said of their cost
    _SIGMAS = 3

    def __init__(self) -> None:
        self.count = 0
        self._cost = self._deviation = 0.0
        self._output = float(OUTPUT_USUAL)

    def learn(self, cost: int, output: int) -> None:
        """One more call: nano-USD and output tokens. These are statistics; no amount is computed from them but a hold."""
        weight = max(self._WEIGHT, 1 / (self.count + 1))
        self.count += 1
        stray = abs(cost - self._cost)
        self._cost += weight * (cost - self._cost)
        self._deviation += weight * (stray - self._deviation)
        self._output += weight * (output - self._output)

    def cost(self) -> int | None:
        """Nano-USD that few calls exceed; None while too little is known."""
        return None if self.count < self._ENOUGH else round(self._cost + self._SIGMAS * self._deviation)

    def output(self) -> int:
        """Output tokens that a call usually has."""
        return round(self._output)
