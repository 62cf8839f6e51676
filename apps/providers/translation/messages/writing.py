"""Writing a request to Anthropic, or to whoever speaks its dialect. Pure."""

import re

from apps.providers.translation.fields import json_bytes
from apps.providers.translation.form import Json, Request, Tool
from apps.providers.translation.losses import Losses
from apps.providers.translation.messages.reasoning import Thought, write_reasoning
from apps.providers.translation.messages.schemas import enforced
from apps.providers.translation.messages.turns import Marks, Turn, write_turns
from apps.providers.translation.upstream import Upstream

_LONGEST_UNKNOWN = 8192  # as much as every model of Anthropic's can answer
_LONGEST_UNASKED = 32000
_USER_MAX = 256  # characters
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_TIERS = {"auto": "auto", "default": "standard_only", "standard": "standard_only", "standard_only": "standard_only"}
_TOP_P_THINKING = 0.95  # the least that goes with thinking

_WHITE_STOPS = "Use stop sequences that hold more than white space."
_ONE_ANSWER = "Ask for one answer at a time."
_NOT_FORCED = "This model cannot be made to call a tool: use 'auto', and say in the prompt which to call."
_USER_LAST = "This model does not go on with an answer that was begun: let the last message be the user's."
_JUST_JSON = "Give a JSON Schema of the answer (type json_schema)."
_NO_SCHEMA = "This model's answers cannot be held to a schema: describe it in the prompt."


def write_request(request: Request, upstream: Upstream, losses: Losses) -> bytes:
    """The body. Raises UnsupportedParameter, InvalidValue."""
    marks = Marks()
    tools = _tools(request, upstream, losses, marks)
    system, turns = write_turns(request, upstream, losses, marks)
    if not turns:
        losses.impossible("messages", "Send at least one message that says something.")
    is_prefilled = turns[-1].role == "assistant"
    if is_prefilled:
        _prefill(turns, upstream, losses)
    marks.bound(losses)
    choice = _choice(request, upstream, tools, losses)
    is_forced = choice is not None and choice["type"] in ("any", "tool")
    max_tokens = _max_tokens(request, upstream)
    may_budget = not is_forced and not is_prefilled and not _goes_on_unproven(turns)
    thought = write_reasoning(request, upstream, max_tokens, losses, may_budget=may_budget)
    body: Json = {"model": upstream.model, "max_tokens": max_tokens}
    instruction = _output(request, upstream, thought, body, losses)
    if instruction:
        system.append({"type": "text", "text": instruction})
    if system:
        body["system"] = system
    if tools:
        body["tools"] = tools
    if choice is not None:
        body["tool_choice"] = choice
    body["messages"] = [{"role": turn.role, "content": turn.blocks} for turn in turns]
    if thought.thinking is not None:
        body["thinking"] = thought.thinking
    _sampling(request, upstream, thought, body, losses)
    _others(request, body, losses)
    if request.stream:
        body["stream"] = True
    return json_bytes(body, "tools")  # whose schemas are all that may be deep


def _max_tokens(request: Request, upstream: Upstream) -> int:
    if request.max_output is None:
        return min(upstream.longest or _LONGEST_UNKNOWN, _LONGEST_UNASKED)
    # More than the model can write is refused, and nobody would get it.
    return max(1, min(request.max_output, upstream.longest or request.max_output))


# --- Tools ---


def _tools(request: Request, upstream: Upstream, losses: Losses, marks: Marks) -> list[Json]:
    names = request.tool_choice.names if request.tool_choice is not None else []
    # Of several that may be called, only those are offered: one alone can be named.
    offered = [tool for tool in request.tools if tool.name in names] if len(names) > 1 else request.tools
    if names and len(names) == 1 and request.tool_choice is not None and request.tool_choice.mode == "auto":
        offered = [tool for tool in request.tools if tool.name in names]
    return [
        marks.add(_tool(tool, f"tools[{place}]", upstream, losses), tool.cache) for place, tool in enumerate(offered)
    ]


def _tool(tool: Tool, path: str, upstream: Upstream, losses: Losses) -> Json:
    schema = tool.parameters or {"type": "object", "properties": {}}
    if schema.get("type") != "object":
        schema = {**schema, "type": "object"}
    block: Json = {"name": tool.name}
    if tool.description:
        block["description"] = tool.description
    if tool.strict and upstream.lacks("json_schema"):
        losses.hint(f"{path}.strict")
    elif tool.strict:
        block["strict"] = True
        schema = enforced(schema, f"{path}.parameters", losses)
    block["input_schema"] = schema
    return block


def _choice(request: Request, upstream: Upstream, tools: list[Json], losses: Losses) -> Json | None:
    if not tools:
        return None
    asked = request.tool_choice
    choice: Json = {"type": "auto"}
    if asked is not None and asked.mode == "none":
        return {"type": "none"}
    if asked is not None and asked.mode == "required":
        if "no_forced_tool_choice" in upstream.caps:
            losses.meaning("tool_choice", _NOT_FORCED)
        elif len(asked.names) == 1:
            choice = {"type": "tool", "name": asked.names[0]}
        else:
            choice = {"type": "any"}
    if request.parallel_tools is False:
        choice["disable_parallel_tool_use"] = True
    return choice if asked is not None or request.parallel_tools is False else None


# --- Messages ---


def _prefill(turns: list[Turn], upstream: Upstream, losses: Losses) -> None:
    """The answer goes on from an assistant's last words, which may not end in white space."""
    if "no_prefill" in upstream.caps:
        losses.impossible(f"messages[{len(turns) - 1}]", _USER_LAST)
    last = turns[-1].blocks[-1]
    if last["type"] == "text":
        last["text"] = last["text"].rstrip()


def _goes_on_unproven(turns: list[Turn]) -> bool:
    """Whether tools that were called without proven thoughts have brought results: there is no thinking from there."""
    said = next((turn for turn in reversed(turns) if turn.role == "assistant"), None)
    return said is not None and bool(said.calls) and not said.is_thought_about


# --- The rest ---


def _output(request: Request, upstream: Upstream, thought: Thought, body: Json, losses: Losses) -> str:
    """Put `output_config` into the body; returns an instruction, where only words can say the format."""
    config: Json = {"effort": thought.effort} if thought.effort else {}
    instruction = ""
    asked = request.format
    if asked is not None and asked.schema is None:
        losses.meaning("response_format", _JUST_JSON)
        instruction = "Answer with one JSON object and nothing else."
    elif asked is not None and upstream.lacks("json_schema"):
        losses.meaning("response_format", _NO_SCHEMA)
        schema = json_bytes(asked.schema, "response_format").decode()
        instruction = f"Answer with JSON of this JSON Schema, and nothing else:\n{schema}"
    elif asked is not None and asked.schema is not None:
        config["format"] = {"type": "json_schema", "schema": enforced(asked.schema, "response_format", losses)}
    if config:
        body["output_config"] = config
    return instruction


def _sampling(request: Request, upstream: Upstream, thought: Thought, body: Json, losses: Losses) -> None:
    """Temperature, top_p and top_k, as far as the model takes them. What is the default anyway is no loss."""
    asked = {
        "temperature": None if request.temperature == 1 else request.temperature,
        "top_p": None if request.top_p == 1 else request.top_p,
        "top_k": request.top_k or None,
    }
    temperature, top_p = asked["temperature"], asked["top_p"]
    if temperature is not None and temperature > 1:
        losses.meaning("temperature", "Use a temperature from 0 to 1.")
        asked["temperature"] = temperature = None
    if "no_sampling_params" in upstream.caps:
        lost = ["temperature", "top_p", "top_k"]
    elif thought.is_on:
        lost = ["temperature", "top_k"]
        lost += ["top_p"] if top_p is not None and top_p < _TOP_P_THINKING else []
    else:
        lost = ["top_p"] if temperature is not None else []  # newer models refuse both at once
    for name, value in asked.items():
        if value is not None and name in lost:
            losses.hint(name)
        elif value is not None:
            body[name] = value


def _others(request: Request, body: Json, losses: Losses) -> None:
    if request.stop:
        stops = [stop for stop in request.stop if stop.strip()]
        if len(stops) < len(request.stop):
            losses.meaning("stop", _WHITE_STOPS)
        if stops:
            body["stop_sequences"] = stops
    if request.user:
        # Anthropic wants an opaque id, and no address of a person.
        if len(request.user) > _USER_MAX or _MAIL.fullmatch(request.user):
            losses.hint("user")
        else:
            body["metadata"] = {"user_id": request.user}
    if request.service_tier:
        tier = _TIERS.get(request.service_tier.lower())
        if tier is None:
            losses.meaning("service_tier", "Use 'auto' or 'default'.")
        else:
            body["service_tier"] = tier
    if request.n is not None and request.n > 1:
        losses.meaning("n", _ONE_ANSWER)
    for name in ("frequency_penalty", "presence_penalty", "logit_bias"):
        if getattr(request, name):
            losses.meaning(name)
    if request.logprobs is not None:
        losses.meaning("logprobs")
    for name, value in (
        ("seed", request.seed is not None),
        ("verbosity", request.verbosity not in ("", "medium")),
        ("metadata", request.metadata),
        ("prompt_cache_key", request.cache_key),
    ):
        if value:
            losses.hint(name)
