"""Writing a chat answer for a client. Pure."""

from collections.abc import Sequence

import orjson

from apps.providers.translation.chat.finishes import write_finish
from apps.providers.translation.chat.requests_read import LEGACY_FUNCTIONS
from apps.providers.translation.chat.thoughts import call_extra, details_of
from apps.providers.translation.chat.usage import chat_usage
from apps.providers.translation.form import (
    Answer,
    Choice,
    Citation,
    Image,
    Json,
    Refusal,
    Request,
    Text,
    Thinking,
    ToolCall,
)
from apps.providers.translation.media import data_url
from apps.providers.translation.spoken import Shown

# The tiers that OpenAI's clients know.
TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})


def write_answer(answer: Answer, request: Request, shown: Shown) -> bytes:
    """The body."""
    is_legacy = LEGACY_FUNCTIONS in request.echo
    said: Json = {
        "id": f"chatcmpl-{shown.id}",
        "object": "chat.completion",
        "created": shown.created,
        "model": shown.model,
        "choices": [
            _choice(choice, place, is_legacy=is_legacy) for place, choice in enumerate(answer.choices or [Choice()])
        ],
    }
    if answer.usage is not None:
        said["usage"] = chat_usage(answer.usage)
    if answer.service_tier in TIERS:
        said["service_tier"] = answer.service_tier
    return orjson.dumps(said)


def picture_of(image: Image) -> Json:
    """A picture in an answer."""
    return {"type": "image_url", "image_url": {"url": image.url or data_url(image.media_type, image.data)}}


def annotation_of(citation: Citation, start: int, end: int) -> Json:
    """A citation with a URL. `start`, `end`: characters of the content that it is for."""
    place = {"start_index": start, "end_index": end}
    return {"type": "url_citation", "url_citation": place | {"url": citation.url, "title": citation.title}}


def loose_citation(citation: Citation) -> Json:
    """A citation without a URL, for which OpenAI's chat has no form: a field of ours carries it."""
    return {"title": citation.title, "quoted": citation.quoted}


def call_of(call: ToolCall) -> Json:
    """A call of a tool."""
    made: Json = {"id": call.id}
    if call.custom:
        made |= {"type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    else:
        made |= {"type": "function", "function": {"name": call.name, "arguments": call.arguments or "{}"}}
    return made | call_extra(call)


def _choice(choice: Choice, place: int, *, is_legacy: bool) -> Json:
    calls = [part for part in choice.parts if isinstance(part, ToolCall)]
    message = _message(choice, calls)
    finish = write_finish(choice.finish, has_calls=bool(calls))
    if calls and is_legacy:
        message["function_call"] = {"name": calls[0].name, "arguments": calls[0].arguments or "{}"}
        finish = "function_call" if finish == "tool_calls" else finish
    elif calls:
        message["tool_calls"] = [call_of(call) for call in calls]
    return {"index": place, "message": message, "logprobs": choice.logprobs, "finish_reason": finish}


def _message(choice: Choice, calls: Sequence[ToolCall]) -> Json:
    texts = [part for part in choice.parts if isinstance(part, Text)]
    refusal = "".join(part.text for part in choice.parts if isinstance(part, Refusal))
    content = "".join(text.text for text in texts)
    annotations, loose = _citations(texts)
    message: Json = {
        "role": "assistant",
        "content": content if content or not (calls or refusal) else None,
        "refusal": refusal or None,
        "annotations": annotations,
    }
    if loose:
        message["citations"] = loose
    thoughts = [part for part in choice.parts if isinstance(part, Thinking)]
    if thoughts:
        message["reasoning_content"] = "\n\n".join(thought.text for thought in thoughts if thought.text)
    if details := details_of(thoughts):
        message["reasoning_details"] = details
    pictures = [picture_of(part) for part in choice.parts if isinstance(part, Image)]
    if pictures:
        message["images"] = pictures
    return message


def _citations(texts: Sequence[Text]) -> tuple[list[Json], list[Json]]:
    """Annotations, and citations that can be none."""
    annotations: list[Json] = []
    loose: list[Json] = []
    begin = 0
    for text in texts:
        length = len(text.text)
        for citation in text.citations:
            if citation.url:
                start = begin + (citation.start or 0)
                end = begin + (length if citation.end is None else citation.end)
                annotations.append(annotation_of(citation, start, end))
            else:
                loose.append(loose_citation(citation))
        begin += length
    return annotations, loose
