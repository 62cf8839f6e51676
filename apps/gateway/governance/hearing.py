"""Calls that write down sound: the most that one can use, and what it has used. Pure.

Such models are billed by the second or in tokens. OpenAI tells either in JSON and in streams, but in no answer of plain text: what
is not told is estimated from the length of the sound (apps.gateway.uploads.sound).
"""

from typing import Any

import msgspec

from apps.gateway.governance.estimates import Bounds, estimated_input
from apps.gateway.governance.making import Made, is_billed_in_tokens
from apps.providers.dialects.openai_forms import TranscriptionHead
from apps.providers.prices.sheet import PriceSheet
from apps.providers.usage import Answer, Usage, transcription_usage

# Tokens of a second of sound: OpenAI counts ten, Gemini 32. Of speech in a second: some four, the fastest twice as many.
_HEARD, _HEARD_MOST = 10, 40
_WRITTEN, _WRITTEN_MOST = 4, 20
_WRITTEN_LEAST = 1_000  # tokens held for any answer


class _Transcription(msgspec.Struct):
    usage: Any = None
    duration: Any = None
    model: Any = None


_decode = msgspec.json.Decoder(_Transcription).decode


def transcription_bounds(head: TranscriptionHead, body: bytes) -> Bounds:
    """The most that a call uses."""
    return Bounds(
        input_tokens=len(body) + head.seconds_most * _HEARD_MOST,
        output_tokens=_WRITTEN_LEAST + head.seconds_most * _WRITTEN_MOST,
        audio=True,
        images=False,
        searches=0,
        seconds=head.seconds_most,
    )


def read_transcription(body: bytes) -> Answer:
    """Usage and model of an answer in JSON. What cannot be read tells nothing."""
    try:
        answer = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Answer()
    usage = transcription_usage({"usage": answer.usage, "duration": answer.duration})
    return Answer(usage=usage, model=answer.model if isinstance(answer.model, str) else "")


def transcription_used(
    head: TranscriptionHead, body: bytes, told: Usage | None, *, whole: bool, sheet: PriceSheet | None
) -> Usage:
    """What was told; where that is not what the model is billed by, our estimate of it."""
    usage = told or Usage()
    if is_billed_in_tokens(sheet, Usage(seconds=1)):
        if usage.output is None:
            seconds = usage.seconds or head.seconds
            usage = msgspec.structs.replace(
                usage,
                input=estimated_input(body),
                audio_input=seconds * _HEARD,
                output=seconds * _WRITTEN,
                estimated=True,
            )
    elif told is None:
        usage = Usage(seconds=head.seconds, estimated=True)
    return usage if whole else msgspec.structs.replace(usage, estimated=True)


def _about(head: TranscriptionHead, body: bytes) -> int:
    return estimated_input(body) + head.seconds * _HEARD


HEARING = Made(transcription_bounds, read_transcription, transcription_used, is_json=False, about=_about)
