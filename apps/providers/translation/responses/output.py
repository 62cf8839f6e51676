"""A response and the items of its output, as clients read them. Pure."""

from collections.abc import Iterable
from typing import Any

from apps.providers.translation.form import Citation, Failed, Finish, Image, Json, Request
from apps.providers.translation.responses.echo import NOTHING_SAID
from apps.providers.translation.responses.names import ToolNames
from apps.providers.translation.responses.usage import tier_shown
from apps.providers.translation.spoken import Shown

# Why an answer is not all that it might have been.
INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}

# Codes that clients act on; what is none of them is an error of the server's.
_CODES = frozenset(
    {"server_error", "rate_limit_exceeded", "invalid_prompt", "context_length_exceeded", "insufficient_quota"}
    | {"bio_policy", "vector_store_timeout", "image_content_policy_violation", "invalid_image"}
    | {"invalid_image_format", "invalid_base64_image", "invalid_image_url", "image_too_large", "image_too_small"}
    | {"image_parse_error", "invalid_image_mode", "image_file_too_large", "unsupported_image_media_type"}
    | {"empty_image_file", "failed_to_download_image", "image_file_not_found"}
)
_TOO_MANY = 429
_BROKEN = Failed(message="The model could not complete its answer.")


def response(request: Request, shown: Shown) -> Json:
    """A response that has just begun."""
    return {
        "id": f"resp_{shown.id}",
        "object": "response",
        "created_at": shown.created,
        "completed_at": None,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": shown.model,
        "output": [],
        "usage": None,
        "service_tier": tier_shown(request.service_tier or "auto"),
        **(request.echo or NOTHING_SAID),
    }


def ended(begun: Json, finish: Finish, output: list[Json], usage: Json, tier: str) -> Json:
    """The same response with its end."""
    reason = INCOMPLETE.get(finish)
    if finish == "error":
        begun = failed(begun, _BROKEN, output)
    elif reason is not None:
        begun = {**begun, "status": "incomplete", "incomplete_details": {"reason": reason}}
    else:
        begun = {**begun, "status": "completed", "completed_at": begun["created_at"]}
    return {**begun, "output": output, "usage": usage, "service_tier": tier}


def failed(begun: Json, failure: Failed, output: list[Json]) -> Json:
    """The same response, which has failed."""
    code = failure.code if failure.code in _CODES else failure.type
    if code not in _CODES:
        code = "rate_limit_exceeded" if failure.status == _TOO_MANY else "server_error"
    error = {"code": code, "message": failure.message or _BROKEN.message}
    return {**begun, "status": "failed", "error": error, "output": output}


def message(item_id: str, status: str, content: list[Json]) -> Json:
    """An item with what the model says."""
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}


def text_part(text: str, annotations: list[Json], logprobs: list[Json]) -> Json:
    """A text."""
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": logprobs}


def refusal_part(text: str) -> Json:
    """What stands in an answer's place."""
    return {"type": "refusal", "refusal": text}


def reasoning(item_id: str, text: str, encrypted: str) -> Json:
    """An item with thoughts, as a summary of one part; `encrypted`: what proves them, or stands in for them."""
    summary = [{"type": "summary_text", "text": text}] if text else []
    item: Json = {"id": item_id, "type": "reasoning", "summary": summary}
    if encrypted:
        item["encrypted_content"] = encrypted
    return item


def call(item_id: str, status: str, call_id: str, name: str, arguments: str, *, custom: bool, names: ToolNames) -> Json:
    """An item with a call of a tool, in the client's words for it."""
    item: Json = {"id": item_id, "type": "custom_tool_call" if custom else "function_call", "status": status}
    namespace, own = names.own.get(name, ("", name))
    item |= {"call_id": call_id, "name": own, "input" if custom else "arguments": arguments}
    if namespace:
        item["namespace"] = namespace
    return item


def picture(item_id: str, image: Image) -> Json:
    """An item with a picture that was made."""
    item: Json = {"id": item_id, "type": "image_generation_call", "status": "completed", "result": image.data}
    form = image.media_type.removeprefix("image/")
    if form in {"png", "webp", "jpeg"}:
        item["output_format"] = form
    return item


def linked(image: Image) -> str:
    """A picture that is elsewhere, as text: items hold pictures whole."""
    return f"![]({image.url})"


def annotation(citation: Citation, length: int) -> Json | None:
    """A citation of something with a URL; where it does not say what for, for all of the text, of `length` characters."""
    if not citation.url:
        return None
    return {
        "type": "url_citation",
        "url": citation.url,
        "title": citation.title,
        "start_index": citation.start or 0,
        "end_index": length if citation.end is None else citation.end,
    }


def logprobs(tokens: Iterable[Any]) -> list[Json]:
    """Tokens of OpenAI's chat as those of an output text. What is no token is passed over."""
    return [
        {**_token(token), "top_logprobs": [_token(top) for top in _tops(token.get("top_logprobs")) if _is_token(top)]}
        for token in tokens
        if _is_token(token)
    ]


def _tops(tops: Any) -> list[Any]:
    return tops if isinstance(tops, list) else []


def _is_token(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("token"), str)


def _token(token: Json) -> Json:
    text, likelihood, raw = token["token"], token.get("logprob"), token.get("bytes")
    return {
        "token": text,
        "bytes": raw if isinstance(raw, list) else list(text.encode()),
        "logprob": likelihood if isinstance(likelihood, int | float) else 0.0,
    }
