"""Reading a client's chat request. Pure."""

from typing import Any

import orjson

from apps.core.errors import InvalidJson
from apps.providers.translation.chat.fields import Fields, Lost
from apps.providers.translation.chat.messages_read import read_messages
from apps.providers.translation.chat.parts_read import read_cache
from apps.providers.translation.form import Format, Reasoning, Request, Tool, ToolChoice

# What `Request.echo` of a chat request tells its answer's writer: the client knows functions only in their older form.
LEGACY_FUNCTIONS = "functions"

# Without these the answer is about the same, and no other dialect has them.
_HINTS = ("prediction", "prompt_cache_retention", "prompt_cache_options")


def read_request(body: bytes, model: str, stream: bool | None) -> Request:  # noqa: FBT001 - the signature that Spoken asks for
    """The request. `model`, `stream`: of the path, if it says them. Raises BadRequest naming the field."""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise InvalidJson(f"The request body is not valid JSON ({exc}): send a JSON object.") from exc
    if not isinstance(said, dict):
        raise InvalidJson("The request body must be a JSON object.")
    fields, lost = Fields(said), Lost()
    named = fields.text("model")
    if not model and not named:
        raise fields.missing("model")
    system, messages = read_messages(fields, lost)
    streamed = fields.flag("stream")
    request = Request(
        model=model or named,
        messages=messages,
        system=system,
        stream=bool(streamed if stream is None else stream),
        left=lost.left,
        fatal=lost.fatal,
    )
    _read_tools(fields, request, lost)
    _read_sampling(fields, request)
    _read_answer_form(fields, request, lost)
    _read_reasoning(fields, request)
    _read_labels(fields, request, lost)
    _read_stream_options(fields, request, lost)
    for name in _HINTS:
        if fields.get(name) is not None:
            lost.leave(name)
    lost.leave_unread(fields)
    return request


def _read_tools(fields: Fields, request: Request, lost: Lost) -> None:
    for tool in fields.objects("tools"):
        kind = tool.text("type") or "function"
        if kind == "function":
            request.tools.append(_tool(tool.required_inner("function"), read_cache(tool)))
            lost.leave_unread(tool, "tools")
        else:
            lost.refuse(tool.path, "Offer functions only.", f"tool {kind}")
    legacy = fields.objects("functions")
    request.tools += [_tool(function, "") for function in legacy]
    if legacy or fields.get("function_call") is not None:
        request.echo[LEGACY_FUNCTIONS] = True
    choice = "tool_choice" if fields.get("tool_choice") is not None else "function_call"
    request.tool_choice = _tool_choice(fields, choice, lost)
    parallel = fields.flag("parallel_tool_calls")
    if parallel is not None:
        request.parallel_tools = parallel


def _tool(function: Fields, cache: str) -> Tool:
    parameters = function.inner("parameters")
    return Tool(
        name=function.required_text("name"),
        description=function.text("description"),
        parameters=None if parameters is None else function.get("parameters"),
        strict=function.flag("strict"),
        cache=cache,
    )


def _tool_choice(fields: Fields, name: str, lost: Lost) -> ToolChoice | None:
    said = fields.get(name)
    if said is None:
        return None
    if isinstance(said, str):
        match said:
            case "none":
                return ToolChoice(mode="none")
            case "auto":
                return ToolChoice()
            case "required" | "any":
                return ToolChoice(mode="required")
            case _:
                raise fields.impossible(name, "use none, auto, required, or name a tool")
    choice = fields.required_inner(name)
    match choice.text("type"):
        case "allowed_tools":
            return _allowed(choice.inner("allowed_tools") or choice)
        case "custom":
            lost.refuse(name, "Choose among functions.")
            return None
        case _:  # {"type": "function", "function": {"name": …}}, or its older form {"name": …}
            named = choice.inner("function") or choice
            return ToolChoice(mode="required", names=[named.required_text("name")])


def _allowed(allowed: Fields) -> ToolChoice:
    names = [(tool.inner("function") or tool).required_text("name") for tool in allowed.objects("tools")]
    return ToolChoice(mode="required" if allowed.text("mode") == "required" else "auto", names=names)


def _read_sampling(fields: Fields, request: Request) -> None:
    request.max_output = fields.whole("max_completion_tokens")
    older = fields.whole("max_tokens")
    if request.max_output is None:
        request.max_output = older
    request.temperature, request.top_p = fields.number("temperature"), fields.number("top_p")
    request.frequency_penalty = fields.number("frequency_penalty")
    request.presence_penalty = fields.number("presence_penalty")
    request.top_k = fields.whole("top_k", least=None)
    request.seed = fields.whole("seed", least=None)
    request.n = fields.whole("n")
    request.logit_bias = None if fields.inner("logit_bias") is None else fields.get("logit_bias") or None
    alternatives = fields.whole("top_logprobs")
    if fields.flag("logprobs") or (alternatives and fields.get("logprobs") is None):
        request.logprobs = alternatives or 0
    stop = fields.get("stop")
    if isinstance(stop, str):
        request.stop = [stop] if stop else []
    else:
        request.stop = list(fields.items("stop"))
        if not all(isinstance(sequence, str) for sequence in request.stop):
            raise fields.wrong("stop", "a string or an array of strings")


def _read_answer_form(fields: Fields, request: Request, lost: Lost) -> None:
    form = fields.inner("response_format")
    if form is not None:
        match form.required_text("type"):
            case "text":
                pass
            case "json_object":
                request.format = Format(schema=_schema(form))
            case "json_schema":
                shape = form.required_inner("json_schema")
                request.format = Format(
                    schema=_schema(shape),
                    name=shape.text("name"),
                    description=shape.text("description"),
                    strict=shape.flag("strict"),
                )
            case _:
                lost.refuse("response_format", "Use text, json_object or json_schema.")
    request.verbosity = fields.text("verbosity")
    modalities = [modality for modality in fields.items("modalities") if modality != "text"]
    if modalities:
        lost.refuse("modalities", "Ask for text only.")
    if fields.get("audio") is not None and not modalities:
        lost.leave("audio")
    if fields.get("web_search_options") is not None:
        lost.refuse("web_search_options", "Leave it out, or offer a function of your own that searches.")
    if fields.get("moderation") is not None:
        lost.refuse("moderation", "Leave it out, and ask for moderations of their own.")


def _schema(form: Fields) -> dict[str, Any] | None:
    return None if form.inner("schema") is None else form.get("schema")


def _read_reasoning(fields: Fields, request: Request) -> None:
    """`reasoning_effort`, or what others have for it: OpenRouter's `reasoning`, and `thinking` of DeepSeek, Moonshot and Z.ai."""
    found = Reasoning(effort=fields.text("reasoning_effort"), shown=fields.flag("include_reasoning"))
    reasoning = fields.inner("reasoning")
    if reasoning is not None:
        found.effort = found.effort or reasoning.text("effort") or _switched(reasoning.flag("enabled"))
        found.budget = reasoning.whole("max_tokens", least=-1)
        hidden = reasoning.flag("exclude")
        if hidden is not None:
            found.shown = not hidden
    thinking = fields.inner("thinking")
    if thinking is not None and not found.effort:
        found.budget = 0 if thinking.text("type") == "disabled" else thinking.whole("budget_tokens", least=-1) or -1
    if found.effort:
        found.budget = None
    if found != Reasoning():
        request.reasoning = found


def _switched(on: bool | None) -> str:  # noqa: FBT001 - a field's value
    return "none" if on is False else ""


def _read_labels(fields: Fields, request: Request, lost: Lost) -> None:
    request.user = fields.text("user")
    safety = fields.text("safety_identifier")
    if request.user and safety and safety != request.user:
        lost.leave("safety_identifier")
    request.user = request.user or safety
    request.metadata = None if fields.inner("metadata") is None else fields.get("metadata") or None
    if fields.flag("store"):
        lost.leave("store")
    request.service_tier = fields.text("service_tier")
    request.cache_key = fields.text("prompt_cache_key")


def _read_stream_options(fields: Fields, request: Request, lost: Lost) -> None:
    options = fields.inner("stream_options")
    if options is None:
        return
    request.include_usage = bool(options.flag("include_usage"))
    if options.flag("include_obfuscation"):
        lost.leave("stream_options.include_obfuscation")
    lost.leave_unread(options)
