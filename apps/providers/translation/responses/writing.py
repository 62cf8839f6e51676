"""Requests for providers that speak Responses. Nothing is ever stored there: every request brings its whole input. Pure."""

from apps.providers.translation.efforts import effort_of
from apps.providers.translation.fields import json_bytes
from apps.providers.translation.form import Json, Reasoning, Request, Tool, ToolChoice
from apps.providers.translation.losses import Losses
from apps.providers.translation.responses.items import written_items
from apps.providers.translation.responses.names import NAME
from apps.providers.translation.upstream import Upstream

# What other dialects call OpenAI's tiers.
_TIERS = {"standard": "default", "standard_only": "default"} | {
    tier: tier for tier in ("auto", "default", "flex", "scale", "priority", "fast", "ultrafast")
}
_FORMAT_NAME = "answer"


def write_request(request: Request, upstream: Upstream, losses: Losses) -> bytes:
    """The body. Raises UnsupportedParameter for what cannot be said."""
    _note_losses(request, losses)
    body: Json = {"model": upstream.model, "input": written_items(request, losses), "store": False}
    if request.system:
        body["instructions"] = "\n\n".join(text.text for text in request.system)
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        if request.tool_choice is not None:
            body["tool_choice"] = _choice(request.tool_choice)
        if request.parallel_tools is not None:
            body["parallel_tool_calls"] = request.parallel_tools
    text = _text(request)
    if text:
        body["text"] = text
    include = []
    reasoning = _reasoning(request.reasoning, upstream, losses)
    if reasoning:
        body["reasoning"] = reasoning
    if _thinks(request, upstream) and reasoning.get("effort") != "none":
        include.append("reasoning.encrypted_content")
    if request.logprobs is not None:
        include.append("message.output_text.logprobs")
        body["top_logprobs"] = request.logprobs
    if include:
        body["include"] = include
    said = {
        "max_output_tokens": request.max_output,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "user": request.user or None,
        "prompt_cache_key": request.cache_key or None,
        "service_tier": _tier(request.service_tier, losses),
        "metadata": _metadata(request, losses),
        "stream": request.stream or None,
    }
    body |= {name: value for name, value in said.items() if value is not None}
    return json_bytes(body, "tools")  # whose schemas are all that may be deep


def _note_losses(request: Request, losses: Losses) -> None:
    """What there is no field for."""
    if (request.n or 1) > 1:
        losses.meaning("n", "Ask several times.")
    if request.stop:
        losses.meaning("stop", "Leave it out, and cut the answer yourself.")
    if request.seed is not None:
        losses.meaning("seed", "Leave it out.")
    for name in ("frequency_penalty", "presence_penalty", "logit_bias"):
        if getattr(request, name):  # none, or one of 0, changes nothing
            losses.meaning(name, "Leave it out.")
    if request.top_k is not None:
        losses.hint("top_k")
    if any(text.cache for text in request.system) or any(tool.cache for tool in request.tools):
        losses.hint("cache_control")


def _tool(tool: Tool) -> Json:
    written: Json = {
        "type": "function",
        "name": tool.name,
        "parameters": {"type": "object", "properties": {}} if tool.parameters is None else tool.parameters,
        "strict": bool(tool.strict),  # which Responses would be by itself, and no other dialect is
    }
    if tool.description:
        written["description"] = tool.description
    return written


def _choice(choice: ToolChoice) -> str | Json:
    if not choice.names or choice.mode == "none":
        return choice.mode
    named: list[Json] = [{"type": "function", "name": name} for name in choice.names]
    if choice.mode == "required" and len(named) == 1:
        return named[0]
    return {"type": "allowed_tools", "mode": choice.mode, "tools": named}


def _text(request: Request) -> Json:
    text: Json = {}
    form = request.format
    if form is not None and form.schema is None:
        text["format"] = {"type": "json_object"}
    elif form is not None:
        told = {"description": form.description or None, "strict": form.strict}
        text["format"] = {
            "type": "json_schema",
            "name": form.name or _FORMAT_NAME,
            "schema": form.schema,
            **{name: value for name, value in told.items() if value is not None},
        }
    if request.verbosity:
        text["verbosity"] = request.verbosity
    return text


def _reasoning(asked: Reasoning | None, upstream: Upstream, losses: Losses) -> Json:
    if asked is None:
        return {}
    effort = asked.effort or effort_of(asked.budget, upstream.efforts)
    if upstream.lacks("reasoning"):
        if effort not in ("", "none"):
            losses.hint("reasoning_effort")
        return {}
    if effort == "none" and "no_effort_none" in upstream.caps:
        losses.meaning("reasoning_effort", "This model always thinks: ask for as little as it can ('low').")
        effort = "low"
    if effort == "minimal" and "no_effort_minimal" in upstream.caps:
        losses.hint("reasoning_effort")
        effort = "low"
    written: Json = {"effort": effort} if effort else {}
    if asked.shown and effort != "none":
        written["summary"] = "auto"
    return written


def _thinks(request: Request, upstream: Upstream) -> bool:
    """Whether thoughts may come, which must be given back with results of tools: models that do not think refuse to be asked."""
    if upstream.is_known:
        return "reasoning" in upstream.caps
    return request.reasoning is not None or any(
        getattr(part, "origin", "") == NAME for message in request.messages for part in message.parts
    )


def _tier(asked: str, losses: Losses) -> str | None:
    tier = _TIERS.get(asked)
    if asked and tier is None:
        losses.hint("service_tier")
    return tier


def _metadata(request: Request, losses: Losses) -> Json | None:
    if request.metadata and not all(isinstance(value, str) for value in request.metadata.values()):
        losses.hint("metadata")
        return None
    return request.metadata or None
