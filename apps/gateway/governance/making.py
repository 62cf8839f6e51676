"""Calls that make no text but pictures or speech: the most that one can use, and what it has used. Pure.

Such models are billed by the picture or the character, or in tokens like others. OpenAI tells the tokens of pictures, but those of
speech only in a stream of events. What is not told is estimated where the model has no price but one in tokens.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from apps.gateway.governance.estimates import Bounds, estimated_input
from apps.providers.dialects.openai_forms import EditHead
from apps.providers.dialects.openai_heads import ImagesHead, SpeechHead
from apps.providers.prices.sheet import PriceSheet
from apps.providers.usage import Answer, Usage, read_images

_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
# OpenAI's models make some 4,000 tokens of a megapixel in high quality, a quarter of that in medium, a fifteenth in low.
_PER_MEGAPIXEL = {"low": 1_000, "medium": 4_000}
_PER_MEGAPIXEL_MOST = 8_000
_PIXELS_UNKNOWN = 2_000_000  # of a size that the provider chooses
_PER_PARTIAL = 200  # tokens of a picture shown while it is being made, twice what OpenAI says
# Tokens of one picture that comes with a request: OpenAI takes up to some 7,000 for one in high fidelity, and a few hundred else.
_GIVEN_MOST, _GIVEN_USUAL = 16_000, 1_000
# A byte of text is about 1.5 tokens of speech, whatever its language; slow speech has more of them.
_SPOKEN_BYTES, _SPOKEN_TOKENS = 2, 3
_SPOKEN_MOST = 6
_SPOKEN_LEAST = 1_000  # tokens held for any speech: instructions may ask for pauses


@dataclass(frozen=True, slots=True)
class Made:
    """What an endpoint makes instead of text."""

    # head, body: the most that a call can use.
    bounds: Callable[[Any, bytes], Bounds]
    # Usage of a whole answer, as far as it tells.
    read: Callable[[bytes], Answer]
    # head, body, what was told; whether all of the answer came, prices: what the call has used.
    used: Callable[..., Usage]
    is_json: bool = True  # its whole answers are; of others, what is no JSON passes as it comes
    # head, body: about how many tokens go in. None: what the body's size says.
    about: Callable[[Any, bytes], int] | None = None


def picture_bounds(head: ImagesHead, body: bytes) -> Bounds:
    """The most that a call for pictures uses: twice what any size and quality is known to take."""
    return Bounds(
        input_tokens=len(body),
        output_tokens=head.answers * _picture_tokens(head),
        audio=False,
        images=True,
        searches=0,
        pictures=head.answers,
    )


def pictures_used(
    head: ImagesHead | EditHead, body: bytes, told: Usage | None, *, whole: bool, sheet: PriceSheet | None
) -> Usage:
    """Pictures, and their tokens. Those that were asked for count as made where nobody tells how many were."""
    usage = told or Usage()
    changes: dict[str, Any] = {}
    pictures = usage.images
    if pictures is None or (not whole and pictures < head.answers):
        pictures = changes["images"] = head.answers
    tokens_told = usage.image_output is not None or usage.output is not None
    if not tokens_told and is_billed_in_tokens(sheet, Usage(images=1)):
        changes["input"] = estimated_input(body) if usage.input is None else usage.input
        changes["image_output"] = pictures * _picture_tokens(head) // 2
    if changes or not whole:
        usage = msgspec.structs.replace(usage, **changes, estimated=True)
    return usage


def edit_bounds(head: EditHead, body: bytes) -> Bounds:
    """The most that a call for pictures made from others uses."""
    return Bounds(
        input_tokens=len(body) + head.given * _GIVEN_MOST,
        output_tokens=head.answers * _picture_tokens(head),
        audio=False,
        images=True,
        searches=0,
        pictures=head.answers,
    )


def edits_used(head: EditHead, body: bytes, told: Usage | None, *, whole: bool, sheet: PriceSheet | None) -> Usage:
    """As `pictures_used`, with the pictures that came."""
    usage = pictures_used(head, body, told, whole=whole, sheet=sheet)
    if told is not None and told.input is not None:
        return usage
    if usage.image_input is None and is_billed_in_tokens(sheet, Usage(images=1)):
        usage = msgspec.structs.replace(usage, image_input=head.given * _GIVEN_USUAL, estimated=True)
    return usage


def speech_bounds(head: SpeechHead, body: bytes) -> Bounds:
    """The most that a call for speech uses."""
    return Bounds(
        input_tokens=len(body),
        output_tokens=_SPOKEN_LEAST + _size(head) * _SPOKEN_MOST,
        audio=True,
        images=False,
        searches=0,
        characters=len(head.text),
    )


def speech_used(head: SpeechHead, body: bytes, told: Usage | None, *, whole: bool, sheet: PriceSheet | None) -> Usage:
    """The characters to be spoken, whatever came of them, and the tokens."""
    usage = told or Usage()
    changes: dict[str, Any] = {"characters": len(head.text)}
    estimated = not whole
    if usage.audio_output is None and is_billed_in_tokens(sheet, Usage(characters=1)):
        changes["input"] = estimated_input(body) if usage.input is None else usage.input
        changes["audio_output"] = _size(head) * _SPOKEN_TOKENS // _SPOKEN_BYTES
        estimated = True
    return msgspec.structs.replace(usage, **changes, estimated=estimated)


def _picture_tokens(head: ImagesHead | EditHead) -> int:
    """Tokens that one picture takes at most."""
    found = _SIZE.fullmatch(head.size or "")
    pixels = int(found[1]) * int(found[2]) if found else _PIXELS_UNKNOWN
    rate = _PER_MEGAPIXEL.get(head.quality or "", _PER_MEGAPIXEL_MOST)
    return -(-pixels * rate // 1_000_000) + (head.partial_images or 0) * _PER_PARTIAL


def _size(head: SpeechHead) -> int:
    return len(head.text.encode("utf-8", "surrogatepass"))


def is_billed_in_tokens(sheet: PriceSheet | None, measured: Usage) -> bool:
    """Whether a model that has a price has none for this measure."""
    return sheet is not None and bool(sheet.cost(measured).missing)


def _tells_nothing(_answer: bytes) -> Answer:
    return Answer()


def _bounds_nothing(_head: object, _body: bytes) -> Bounds:
    return Bounds(input_tokens=0, output_tokens=0, audio=False, images=False, searches=0)


def _uses_what_is_told(_head: object, _body: bytes, told: Usage | None, **_: object) -> Usage:
    return told or Usage()


def _about_edit(head: EditHead, body: bytes) -> int:
    return estimated_input(body) + head.given * _GIVEN_USUAL


EDITS = Made(edit_bounds, read_images, edits_used, about=_about_edit)
PICTURES = Made(picture_bounds, read_images, pictures_used)
SPEAKING = Made(speech_bounds, _tells_nothing, speech_used, is_json=False)


def _uses_nothing(*_: object, **__: object) -> Usage:
    return Usage()


# What has been paid for elsewhere, whatever it tells.
SHOWN = Made(_bounds_nothing, _tells_nothing, _uses_nothing)
# What costs nothing by itself.
NOTHING = Made(_bounds_nothing, _tells_nothing, _uses_what_is_told)
