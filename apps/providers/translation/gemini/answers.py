"""Whole answers and errors in Gemini's words, both ways. Pure."""

from collections.abc import Mapping
from typing import Any

import orjson

from apps.providers.told_json import loads
from apps.providers.translation.form import Answer, Choice, Failed, Json, Request, Text, ToolCall
from apps.providers.translation.gemini import kept, media, parts
from apps.providers.translation.gemini.chances import read_chances, write_chances
from apps.providers.translation.gemini.citations import Measure, grounded, grounding_metadata
from apps.providers.translation.gemini.counts import usage_metadata
from apps.providers.translation.gemini.turn import Turn
from apps.providers.translation.gemini.words import MALFORMED_CALL, failed_by, finish_of, reason_of
from apps.providers.translation.spoken import Shown
from apps.providers.translation.told import MESSAGE_MAX, dicts, text_of
from apps.providers.usage import gemini_searches, gemini_usage


def read_answer(body: bytes) -> Answer:
    """A GenerateContentResponse. Raises ValueError for what is none."""
    data = loads(body)
    if not isinstance(data, dict):
        raise ValueError("the answer is no object")  # noqa: TRY004  # what Spoken says of it
    id_, model, raw = data.get("responseId"), data.get("modelVersion"), data.get("usageMetadata")
    usage = gemini_usage(raw, searches=gemini_searches(data)) if isinstance(raw, dict) else None
    answer = Answer(
        choices=[],
        id=id_ if isinstance(id_, str) else "",
        model=model if isinstance(model, str) else "",
        usage=usage,
        service_tier=usage.tier if usage is not None else "",
    )
    if "error" in data:
        answer.error = failed(data["error"], 0)
        return answer
    candidates = dicts(data.get("candidates"))
    for index, candidate in enumerate(candidates):
        choice = _choice(candidate, answer.id, index)
        answer.choices.append(choice)
        if choice.finish == "error":
            answer.error = answer.error or failed_by(candidate)
    if not candidates:
        if not is_blocked(data):
            raise ValueError("the answer has no candidates")
        answer.choices.append(Choice(parts=[Text("")], finish="content_filter"))
    return answer


def is_blocked(data: Mapping[str, Any]) -> bool:
    """Whether the prompt was refused."""
    feedback = data.get("promptFeedback")
    return isinstance(feedback, dict) and bool(feedback.get("blockReason"))


def _choice(candidate: dict[str, Any], answer_id: str, index: int) -> Choice:
    turn = Turn()
    content = candidate.get("content")
    texts: list[tuple[Text, int, str] | None] = []  # of each part: what it is in, after how many characters, and itself
    lengths: dict[int, int] = {}  # characters of each text so far
    calls = 0
    said = content.get("parts") if isinstance(content, dict) else None
    for part in said if isinstance(said, list) else ():
        text = _read_part(part, turn, answer_id, index, calls) if isinstance(part, dict) else None
        calls += _is_call(part)
        if text is None:
            texts.append(None)
        else:
            before = lengths.get(id(text), 0)
            texts.append((text, before, part["text"]))
            lengths[id(text)] = before + len(part["text"])
    found = turn.whole()
    _cite(candidate, [text for text in found if isinstance(text, Text)], texts)
    chances = read_chances(candidate.get("logprobsResult"))
    return Choice(
        parts=found,
        finish=finish_of(candidate.get("finishReason"), called=calls > 0),
        logprobs=None if chances is None else {"content": chances, "refusal": None},
    )


def _is_call(part: object) -> bool:
    """Whether it calls something that can be called."""
    call = part.get("functionCall") if isinstance(part, dict) else None
    return isinstance(call, dict) and bool(text_of(call.get("name")))


def _read_part(part: Mapping[str, Any], turn: Turn, answer_id: str, choice: int, calls: int) -> Text | None:
    """Adds a part; returns the text that it has become a part of, if it is one."""
    signature = part.get("thoughtSignature")
    signature = signature if isinstance(signature, str) else ""
    call, text, inline = part.get("functionCall"), part.get("text"), part.get("inlineData")
    if isinstance(call, dict) and _is_call(part):
        name, arguments = call["name"], parts.arguments_of(call)
        id_ = parts.call_id(call, answer_id, choice, calls, name, arguments)
        origin = kept.NAME if signature else ""
        turn.add(ToolCall(id=id_, name=name, arguments=arguments, signature=signature, origin=origin))
    elif isinstance(text, str):
        thought = part.get("thought") is True
        if thought:
            turn.thought(text)
        if signature:
            turn.sign(signature, kept.NAME, redacted=True)
        return None if thought else turn.text(text)
    elif isinstance(inline, dict) and (made := media.made(inline)) is not None:
        if signature:
            turn.sign(signature, kept.NAME, redacted=True)
        turn.add(made)
    return None


def _cite(candidate: Mapping[str, Any], whole: list[Text], texts: list[tuple[Text, int, str] | None]) -> None:
    """Gives each text its citations. What names no part of text is for the last one."""
    if not whole:
        return
    measures: dict[int, Measure] = {}
    for found in grounded(candidate):
        part = found.part or 0
        place = texts[part] if part < len(texts) else None
        if place is None:
            measure = measures.setdefault(-1, Measure(whole[-1].text))
            whole[-1].citations.append(measure.placed(found))
        else:
            text, before, said = place
            measure = measures.setdefault(part, Measure(said))
            text.citations.append(measure.placed(found, before))


def write_answer(answer: Answer, request: Request, shown: Shown) -> bytes:
    """A GenerateContentResponse."""
    thoughts = request.reasoning is not None and request.reasoning.shown is True
    body: Json = {
        "candidates": [_candidate(choice, index, thoughts=thoughts) for index, choice in enumerate(answer.choices)]
    }
    if answer.usage is not None:
        body["usageMetadata"] = usage_metadata(answer.usage)
    body["modelVersion"] = shown.model
    body["responseId"] = shown.id
    return orjson.dumps(body)


def _candidate(choice: Choice, index: int, *, thoughts: bool) -> Json:
    found, cited, broken = parts.written(choice.parts, thoughts=thoughts)
    reason = reason_of(choice.finish)
    candidate: Json = {"content": {"parts": found or [{"text": ""}], "role": "model"}}
    if broken and reason == "STOP":
        reason = MALFORMED_CALL
        candidate["finishMessage"] = malformed(broken)
    candidate["finishReason"] = reason
    candidate["index"] = index
    if cited:
        candidate["groundingMetadata"] = grounding_metadata(cited)
    chances = choice.logprobs.get("content") if choice.logprobs is not None else None
    if chances:
        candidate["logprobsResult"] = write_chances(chances)
    return candidate


def malformed(name: str) -> str:
    """What is said of a call that could not be passed on."""
    return f"The model called {name} with arguments that are no JSON object."


# --- Errors ---


def read_error(status: int, body: bytes) -> Failed:
    """What a refusal says: Google's envelope, also as the element of a list; anything else as it is."""
    try:
        data = orjson.loads(body)
    except (orjson.JSONDecodeError, RecursionError):
        data = None
    if isinstance(data, list) and data:
        data = data[0]
    error = data.get("error") if isinstance(data, dict) else None
    if error is None:
        text = " ".join(body[: 4 * MESSAGE_MAX].decode(errors="replace").split())[:MESSAGE_MAX]
        return Failed(message=text or f"The provider answered with status {status}.", status=status)
    return failed(error, status)


def failed(error: object, status: int) -> Failed:
    """The failure that an `error` of Google's tells. `status`: HTTP's, 0 where only the error itself says it."""
    if not isinstance(error, dict):
        said = error if isinstance(error, str) and error else "The provider's answer failed."
        return Failed(message=said[:MESSAGE_MAX], status=status)
    message, word, number = error.get("message"), error.get("status"), error.get("code")
    word = word if isinstance(word, str) else ""
    if not status and isinstance(number, int) and 400 <= number <= 599:
        status = number
    reason = param = ""
    for detail in dicts(error.get("details")):
        reason = reason or text_of(detail.get("reason"))
        for violation in dicts(detail.get("fieldViolations")):
            param = param or text_of(violation.get("field"))
    return Failed(
        message=(text_of(message) or word or "The provider's answer failed.")[:MESSAGE_MAX],
        type=word,
        code=(reason or word).lower(),
        param=param,
        status=status,
    )
