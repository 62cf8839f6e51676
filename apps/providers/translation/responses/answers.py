"""Whole answers as providers give them. Pure."""

from apps.providers.told_json import loads
from apps.providers.translation.form import Answer, Choice, Json, Part, Refusal, Text, Thinking, ToolCall
from apps.providers.translation.responses.names import NAME
from apps.providers.translation.responses.output import logprobs
from apps.providers.translation.responses.parts import read_annotation
from apps.providers.translation.responses.told import (
    call_id,
    failure,
    finish_of,
    image_of,
    thoughts_of,
    usage_of,
)
from apps.providers.translation.told import dicts, text_of


def read_answer(body: bytes) -> Answer:
    """A response. Raises ValueError for what is none, or is not over."""
    data = loads(body)
    if not isinstance(data, dict):
        raise ValueError("a response is an object")  # noqa: TRY004 - what callers catch
    status, items = data.get("status"), data.get("output")
    answer = Answer(
        choices=[],
        id=text_of(data.get("id")),
        model=text_of(data.get("model")),
        usage=usage_of(data),
        service_tier=text_of(data.get("service_tier")),
    )
    error = data.get("error")
    if isinstance(error, dict) or status in ("failed", "cancelled"):
        answer.error = failure(error)
        return answer
    if not isinstance(items, list) or status in ("queued", "in_progress"):
        raise ValueError("no response with an output that is over")
    choice = Choice()
    likelihoods: list[Json] = []
    for item in items:
        if isinstance(item, dict):
            choice.parts += _parts(item, answer.id, len(choice.parts), likelihoods)
    choice.finish = finish_of(data, calls=any(isinstance(part, ToolCall) for part in choice.parts))
    if likelihoods:
        choice.logprobs = {"content": likelihoods, "refusal": None}
    answer.choices.append(choice)
    return answer


def _parts(item: Json, answer: str, number: int, likelihoods: list[Json]) -> list[Part]:
    """What an item of the output comes to; nothing for those that only tell of tools that the provider ran.

    `answer`: its id; `number`: of the item's first part, unique within it.
    """
    match item.get("type"):
        case "message":
            return [part for piece in dicts(item.get("content")) if (part := _said(piece, likelihoods)) is not None]
        case "function_call" | "custom_tool_call" as kind:
            custom = kind == "custom_tool_call"
            arguments = text_of(item.get("input" if custom else "arguments"))
            return [
                ToolCall(
                    id=call_id(item, answer, number),
                    name=text_of(item.get("name")),
                    arguments=arguments if custom else arguments or "{}",
                    custom=custom,
                )
            ]
        case "reasoning":
            text, signature = thoughts_of(item), text_of(item.get("encrypted_content"))
            if not text and not signature:
                return []
            origin = NAME if signature else ""
            return [Thinking(text=text, signature=signature, origin=origin, redacted=not text)]
        case "image_generation_call":
            made = image_of(item)
            return [] if made is None else [made]
    return []


def _said(piece: Json, likelihoods: list[Json]) -> Part | None:
    match piece.get("type"):
        case "output_text":
            likelihoods += logprobs(dicts(piece.get("logprobs")))
            found = [read_annotation(each) for each in dicts(piece.get("annotations"))]
            return Text(text_of(piece.get("text")), citations=[cited for cited in found if cited is not None])
        case "refusal":
            return Refusal(text_of(piece.get("refusal")))
    return None
