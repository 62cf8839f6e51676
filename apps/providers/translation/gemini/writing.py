"""Writing requests in Gemini's words. Pure."""

from collections.abc import Sequence
from typing import Any

from apps.providers.translation.fields import json_bytes
from apps.providers.translation.form import Format, Json, Request, Tool, ToolChoice
from apps.providers.translation.gemini.history import History
from apps.providers.translation.gemini.thinking import generation, thinking_config
from apps.providers.translation.losses import Losses
from apps.providers.translation.upstream import Upstream

_STOPS_MAX = 5
_SEED_MAX = 2**31 - 1
_TIERS = {"default": "standard", "standard": "standard", "standard_only": "standard", "flex": "flex"}
_TIERS |= {"priority": "priority", "fast": "priority"}
_RESOLUTIONS = {"low": "LOW", "medium": "MEDIUM", "high": "HIGH", "original": "HIGH"}


def write_request(request: Request, upstream: Upstream, losses: Losses) -> bytes:
    """The body; the model, and whether it is to stream, are the path's to say. Raises UnsupportedParameter."""
    history = History(losses, is_new=generation(upstream.model) >= (3, 0))
    contents = history.write(request.messages)
    system = [{"text": part.text} for part in request.system if part.text]
    if any(part.cache for part in request.system):
        losses.hint("cache_control")
    body: dict[str, Any] = {}
    if contents:
        if system:
            body["systemInstruction"] = {"parts": system}
        body["contents"] = contents
    else:  # there must be a turn
        body["contents"] = [{"role": "user", "parts": system}]
    if request.tools:
        _write_tools(body, request, losses)
    config = _sampling(request, losses)
    if request.format is not None:
        config |= _format(request.format)
    if thinking := thinking_config(request.reasoning, upstream, losses):
        config["thinkingConfig"] = thinking
    if detail := _RESOLUTIONS.get(history.detail):
        config["mediaResolution"] = f"MEDIA_RESOLUTION_{detail}"
    if config:
        body["generationConfig"] = config
    if tier := _tier(request.service_tier, losses):
        body["serviceTier"] = tier
    _leave(request, losses)
    return json_bytes(body, "tools")  # whose schemas are all that may be deep


def _write_tools(body: Json, request: Request, losses: Losses) -> None:
    choice = request.tool_choice or ToolChoice()
    tools: Sequence[Tool] = request.tools
    if (
        choice.mode == "auto" and choice.names
    ):  # names may only be given where a call is a must: so no others are offered
        tools = [tool for tool in tools if tool.name in choice.names]
    if not tools:
        return
    body["tools"] = [{"functionDeclarations": [_declaration(tool) for tool in tools]}]
    for index, tool in enumerate(tools):
        if tool.strict:
            losses.hint(f"tools[{index}].function.strict")
            break
    if any(tool.cache for tool in tools):
        losses.hint("cache_control")
    if request.parallel_tools is False and choice.mode != "none":
        losses.meaning("parallel_tool_calls", "Leave it out: this API has no way to ask for one call at a time.")
    calling: Json = {}
    if choice.mode == "none":
        calling["mode"] = "NONE"
    elif choice.mode == "required":
        calling["mode"] = "ANY"
        if choice.names:
            calling["allowedFunctionNames"] = choice.names
    if calling:
        body["toolConfig"] = {"functionCallingConfig": calling}


def _declaration(tool: Tool) -> Json:
    found: Json = {"name": tool.name}
    if tool.description:
        found["description"] = tool.description
    if tool.parameters:
        found["parametersJsonSchema"] = tool.parameters
    return found


def _sampling(request: Request, losses: Losses) -> Json:
    config: Json = {
        "maxOutputTokens": request.max_output,
        "temperature": request.temperature,
        "topP": request.top_p,
        "topK": request.top_k,
        "frequencyPenalty": request.frequency_penalty,
        "presencePenalty": request.presence_penalty,
    }
    if request.n is not None and request.n != 1:
        config["candidateCount"] = request.n
    if request.seed is not None:
        if -_SEED_MAX <= request.seed <= _SEED_MAX:
            config["seed"] = request.seed
        else:
            losses.hint("seed")
    if request.stop:
        if len(request.stop) > _STOPS_MAX:
            losses.meaning("stop", f"Use at most {_STOPS_MAX} sequences.")
        config["stopSequences"] = request.stop[:_STOPS_MAX]
    if request.logprobs is not None:
        config["responseLogprobs"] = True
        config["logprobs"] = request.logprobs or None
    return {name: value for name, value in config.items() if value is not None}


def _format(wanted: Format) -> Json:
    config: Json = {"responseMimeType": "application/json"}
    if wanted.schema is not None:
        schema = wanted.schema
        if wanted.description and "description" not in schema:
            schema = {"description": wanted.description, **schema}
        config["responseJsonSchema"] = schema
    return config


def _tier(wanted: str, losses: Losses) -> str:
    if not wanted or wanted == "auto":
        return ""
    tier = _TIERS.get(wanted.lower(), "")
    if not tier:
        losses.meaning("service_tier", "Use default, flex or priority.")
    return tier


def _leave(request: Request, losses: Losses) -> None:
    """What Gemini has no field for."""
    if request.logit_bias:
        losses.meaning("logit_bias")
    for field, value in (
        ("verbosity", request.verbosity),
        ("user", request.user),
        ("metadata", request.metadata),
        ("prompt_cache_key", request.cache_key),
    ):
        if value:
            losses.hint(field)
