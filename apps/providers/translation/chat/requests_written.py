"""Writing a chat request for a provider. Pure."""

from typing import Any

from apps.providers.translation.chat.efforts import reasoning_fields
from apps.providers.translation.chat.messages_written import write_messages
from apps.providers.translation.chat.providers import Habits, habits_of, takes_stream_options
from apps.providers.translation.fields import json_bytes
from apps.providers.translation.form import Format, Json, Request, Tool, ToolChoice
from apps.providers.translation.losses import Losses
from apps.providers.translation.upstream import Upstream

_STOPS_MAX = 4
_STANDARD_TIERS = frozenset({"", "auto", "default", "standard", "standard_only", "on_demand", "service_tier_standard"})
_NO_PARAMETERS: Json = {"type": "object", "properties": {}}


def write_request(request: Request, upstream: Upstream, losses: Losses) -> bytes:
    """The body. Raises UnsupportedParameter."""
    habits = habits_of(upstream)
    body: Json = {"model": upstream.model, "messages": write_messages(request, upstream, losses)}
    if request.max_output is not None:
        body[habits.output_cap] = request.max_output
    body |= _sampling(request, habits, losses)
    body |= _tools(request, habits, losses)
    if request.format is not None:
        body["response_format"] = _format(request.format, upstream, losses)
    body |= reasoning_fields(request, upstream, losses)
    body |= _labels(request, habits, losses)
    if request.stream:
        body["stream"] = True
        if takes_stream_options(upstream):
            body["stream_options"] = {"include_usage": True}
    return json_bytes(body, "tools")  # whose schemas are all that may be deep


def _sampling(request: Request, habits: Habits, losses: Losses) -> Json:
    said: Json = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "frequency_penalty": request.frequency_penalty,
        "presence_penalty": request.presence_penalty,
    }
    if request.stop:
        if len(request.stop) > _STOPS_MAX:
            losses.meaning("stop", f"Name at most {_STOPS_MAX} sequences.")
        said["stop"] = request.stop[:_STOPS_MAX]
    if request.n is not None and request.n != 1 and _takes(habits, "n", losses, changes=True):
        said["n"] = request.n
    if request.seed is not None and _takes(habits, "seed", losses):
        said[habits.seed] = request.seed
    if request.top_k is not None and _takes(habits, "top_k", losses):
        said["top_k"] = request.top_k
    if request.logit_bias and _takes(habits, "logit_bias", losses, changes=True):
        said["logit_bias"] = request.logit_bias
    if request.logprobs is not None and _takes(habits, "logprobs", losses, changes=True):
        said["logprobs"] = True
        if request.logprobs:
            said["top_logprobs"] = request.logprobs
    return {name: value for name, value in said.items() if value is not None}


def _takes(habits: Habits, name: str, losses: Losses, *, changes: bool = False) -> bool:
    """Whether the provider has a field; if not, it is lost. `changes`: what the request means."""
    if name in habits.takes:
        return True
    if changes:
        losses.meaning(name)
    else:
        losses.hint(name)
    return False


def _tools(request: Request, habits: Habits, losses: Losses) -> Json:
    tools, choice = request.tools, request.tool_choice
    said: Json = {}
    if choice is not None:
        tools, chosen = _choice(choice, tools, habits, losses)
        if chosen is not None:
            said["tool_choice"] = chosen
    if not tools:
        return said
    if any(tool.cache for tool in tools):
        losses.hint("cache_control")
    said["tools"] = [{"type": "function", "function": _function(tool)} for tool in tools]
    if request.parallel_tools is not None:
        if "parallel_tool_calls" in habits.takes:
            said["parallel_tool_calls"] = request.parallel_tools
        elif not request.parallel_tools:
            losses.meaning("parallel_tool_calls")
    return said


def _function(tool: Tool) -> Json:
    said: Json = {"name": tool.name}
    if tool.description:
        said["description"] = tool.description
    said["parameters"] = _NO_PARAMETERS if tool.parameters is None else tool.parameters
    if tool.strict is not None:
        said["strict"] = tool.strict
    return said


def _choice(choice: ToolChoice, tools: list[Tool], habits: Habits, losses: Losses) -> tuple[list[Tool], Any]:
    """The tools to offer, and `tool_choice`; None: it is left out."""
    if choice.mode == "none":
        return (tools, "none") if tools and habits.forced else ([], None)
    if not habits.forced:  # it is not heeded
        if choice.mode == "required":
            losses.meaning("tool_choice")
        return _only(tools, choice.names), None
    mode = "auto" if choice.mode == "auto" else habits.forced
    if not choice.names:
        return tools, mode if tools or mode != "auto" else None
    if len(choice.names) == 1 and choice.mode == "required" and "named_tool" in habits.takes:
        return tools, {"type": "function", "function": {"name": choice.names[0]}}
    if "allowed_tools" in habits.takes:
        named = [{"type": "function", "function": {"name": name}} for name in choice.names]
        return tools, {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": named}}
    return _only(tools, choice.names), mode


def _only(tools: list[Tool], names: list[str]) -> list[Tool]:
    return [tool for tool in tools if tool.name in names] if names else tools


def _format(form: Format, upstream: Upstream, losses: Losses) -> Json:
    if form.schema is None:
        return {"type": "json_object"}
    if habits_of(upstream).schemas == "json_object":
        return {"type": "json_object", "schema": form.schema}
    if upstream.lacks("json_schema"):
        losses.meaning("response_format", "This model keeps to no schema: ask for json_object.")
        return {"type": "json_object"}
    shape: Json = {"name": form.name or "answer", "schema": form.schema}
    if form.description:
        shape["description"] = form.description
    if form.strict is not None:
        shape["strict"] = form.strict
    return {"type": "json_schema", "json_schema": shape}


def _labels(request: Request, habits: Habits, losses: Losses) -> Json:
    said: Json = {}
    if request.user and _takes(habits, "user", losses):
        said["user"] = request.user
    if request.verbosity and _takes(habits, "verbosity", losses):
        said["verbosity"] = request.verbosity
    if request.cache_key and _takes(habits, "prompt_cache_key", losses):
        said["prompt_cache_key"] = request.cache_key
    if request.metadata:
        losses.hint("metadata")
    tier = request.service_tier.lower()
    if tier in habits.tiers:
        said["service_tier"] = tier
    elif tier not in _STANDARD_TIERS:
        losses.meaning("service_tier", "Leave it out: the model's provider has the standard tier only.")
    return said
