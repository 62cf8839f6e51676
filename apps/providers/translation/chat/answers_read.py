"""Reading a provider's chat answer. Pure."""

from collections.abc import Mapping
from typing import Any

import orjson

from apps.providers.told_json import loads
from apps.providers.translation.chat.errors import failure_in
from apps.providers.translation.chat.finishes import read_finish
from apps.providers.translation.chat.parts_read import image_of, read_citation, thinking_text
from apps.providers.translation.chat.thoughts import read_call_signature, read_thoughts
from apps.providers.translation.form import (
    Answer,
    Choice,
    Citation,
    Failed,
    Image,
    Json,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from apps.providers.translation.told import dicts, text_of
from apps.providers.translation.tool_ids import invented_id
from apps.providers.usage import Usage, openai_usage, tier_name


def read_answer(body: bytes) -> Answer:
    """The answer. Raises ValueError for what is none."""
    said = loads(body)
    failed = failure_in(said) if isinstance(said, dict) else None
    listed = said.get("choices") if isinstance(said, dict) else None
    choices = dicts(listed)
    if failed is None and not choices:
        raise ValueError("an answer is an object with choices")
    answer = Answer(
        choices=[],
        id=text_of(said.get("id")),
        model=text_of(said.get("model")),
        usage=read_usage(said),
        service_tier=text_of(said.get("service_tier")),
        error=failed,
    )
    if failed is None:
        answer.choices = [_choice(choice, answer.id, place) for place, choice in enumerate(choices)]
        _cite(answer, said.get("citations"))
    if any(choice.finish == "error" for choice in answer.choices):
        answer.error = Failed(message="The provider could not complete its answer.", type="server_error")
    return answer


def read_usage(said: Mapping[str, Any]) -> Usage | None:
    """Usage of an answer, or of a part of a stream, wherever the provider puts it."""
    raw = said.get("usage")
    if not isinstance(raw, dict):
        groq = said.get("x_groq")
        raw = groq.get("usage") if isinstance(groq, dict) else None
    return openai_usage(raw, tier=tier_name(said.get("service_tier"))) if isinstance(raw, dict) else None


def arguments_text(arguments: Any) -> str:
    """A call's arguments as JSON text; some give what it means. Raises ValueError for what is too deep to be written."""
    if isinstance(arguments, str):
        return arguments
    try:
        return "" if arguments is None else orjson.dumps(arguments).decode()
    except TypeError as exc:
        raise ValueError("arguments are nested too deeply") from exc


def content_parts(content: Any) -> list[Part]:
    """The parts of `content`: a string, or the chunks that Mistral and others make it of."""
    if isinstance(content, str):
        return [Text(content)] if content else []
    chunks = content if isinstance(content, list) else []
    return [part for chunk in chunks if isinstance(chunk, dict) and (part := _chunk(chunk)) is not None]


def pictures(images: Any) -> list[Image]:
    """Pictures of an answer, as OpenRouter has them."""
    found = []
    for said in images if isinstance(images, list) else []:
        url = said.get("image_url") if isinstance(said, dict) else None
        url = url.get("url") if isinstance(url, dict) else url
        if isinstance(url, str) and url:
            found.append(image_of(url))
    return found


def citations(annotations: Any) -> list[Citation]:
    """Citations among an answer's annotations."""
    said = annotations if isinstance(annotations, list) else []
    return [citation for each in said if (citation := read_citation(each)) is not None]


def _choice(choice: Json, answer_id: str, place: int) -> Choice:
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    calls = _calls(message, answer_id, place)
    thoughts = read_thoughts(message)
    content = content_parts(message.get("content"))
    if any(thought.text for thought in thoughts):
        content = [part for part in content if not isinstance(part, Thinking)]
    parts: list[Part] = [*thoughts, *content]
    if isinstance(message.get("refusal"), str) and message["refusal"]:
        parts.append(Refusal(message["refusal"]))
    found = citations(message.get("annotations"))
    text = next((part for part in parts if isinstance(part, Text)), None)
    if text is not None:
        text.citations = found
    parts += pictures(message.get("images"))
    finish = read_finish(choice.get("finish_reason"), has_calls=bool(calls))
    stopped_by = choice.get("stop_reason")  # vLLM: the sequence, or a token's number
    if finish == "stop" and isinstance(stopped_by, str) and stopped_by:
        finish = "stop_sequence"
    logprobs = choice.get("logprobs")
    return Choice(
        parts=[*parts, *calls],
        finish=finish,
        stopped_by=stopped_by if finish == "stop_sequence" and isinstance(stopped_by, str) else "",
        logprobs=logprobs if isinstance(logprobs, dict) else None,
    )


def _chunk(chunk: Json) -> Part | None:
    text = chunk.get("text")
    match chunk.get("type"):
        case "thinking":
            thought = thinking_text(chunk.get("thinking"))
            return Thinking(text=thought) if thought else None
        case "refusal" if isinstance(chunk.get("refusal"), str):
            return Refusal(chunk["refusal"])
        case "image_url":
            found = pictures([chunk])
            return found[0] if found else None
        case _:
            return Text(text) if isinstance(text, str) and text else None


def _calls(message: Json, answer_id: str, choice: int) -> list[ToolCall]:
    found: list[ToolCall] = []
    said = message.get("tool_calls")
    for call in said if isinstance(said, list) else []:
        if isinstance(call, dict):
            made = _call(call, answer_id, choice, len(found))
            if made is not None:
                found.append(made)
    legacy = message.get("function_call")
    if isinstance(legacy, dict) and not found:
        made = _call({"function": legacy}, answer_id, choice, 0)
        if made is not None:
            found.append(made)
    return found


def _call(call: Json, answer_id: str, choice: int, place: int) -> ToolCall | None:
    """The call at `place` among those of a choice. None for a call of nothing."""
    custom = call.get("custom")
    function = custom if isinstance(custom, dict) else call.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
        return None
    signature, origin = read_call_signature(call)
    is_custom = isinstance(custom, dict)
    arguments = arguments_text(function.get("input" if is_custom else "arguments"))
    return ToolCall(
        id=text_of(call.get("id")) or invented_id(answer_id, choice, place),
        name=function["name"],
        arguments=arguments if is_custom else arguments or "{}",
        custom=is_custom,
        signature=signature,
        origin=origin,
    )


def _cite(answer: Answer, urls: Any) -> None:
    """A list of URLs that the whole answer rests on, as xAI and Perplexity give it."""
    found = [Citation(url=url) for url in urls if isinstance(url, str) and url] if isinstance(urls, list) else []
    for choice in answer.choices:
        text = next((part for part in choice.parts if isinstance(part, Text)), None)
        if text is not None and not text.citations:
            text.citations = list(found)
