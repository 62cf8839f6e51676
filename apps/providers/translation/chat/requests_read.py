"""Reading a client's chat request. Pure."""

from apps.providers.translation.chat.messages_read import read_messages
from apps.providers.translation.chat.parts_read import MARKS, read_cache
from apps.providers.translation.fields import Fields, Unkept, parsed
from apps.providers.translation.form import Format, Reasoning, Request, Tool, ToolChoice

# What `Request.echo` of a chat request tells its answer's writer: the client knows functions only in their older form.
LEGACY_FUNCTIONS = "functions"

# What is read. Of the rest nothing is known, or no other dialect has it, and the answer is about the same without it.
_KNOWN = frozenset(
    {"model", "messages", "stream", "stream_options", "tools", "functions", "tool_choice", "function_call"}
    | {
        "parallel_tool_calls",
        "max_completion_tokens",
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "n",
        "seed",
        "stop",
    }
    | {
        "frequency_penalty",
        "presence_penalty",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "response_format",
        "verbosity",
    }
    | {"modalities", "audio", "web_search_options", "moderation", "reasoning_effort", "include_reasoning", "reasoning"}
    | {"thinking", "user", "safety_identifier", "metadata", "store", "service_tier", "prompt_cache_key"}
)
_TOOL = frozenset({"type", "function", *MARKS})
_STREAM_OPTIONS = frozenset({"include_usage", "include_obfuscation"})


def read_request(body: bytes, model: str, stream: bool | None) -> Request:  # noqa: FBT001 - the signature that Spoken asks for
    """The request. `model`, `stream`: of the path, if it says them. Raises BadRequest naming the field."""
    fields, unkept = parsed(body), Unkept()
    named = fields.text("model")
    if not model and not named:
        raise fields.missing("model")
    system, messages = read_messages(fields, unkept)
    streamed = fields.flag("stream")
    request = Request(
        model=model or named,
        messages=messages,
        system=system,
        stream=bool(streamed if stream is None else stream),
        left=unkept.left,
        fatal=unkept.fatal,
    )
    _read_tools(fields, request, unkept)
    _read_sampling(fields, request)
    _read_answer_form(fields, request, unkept)
    _read_reasoning(fields, request)
    _read_labels(fields, request, unkept)
    _read_stream_options(fields, request, unkept)
    unkept.leave_others(fields, _KNOWN)
    return request


def _read_tools(fields: Fields, request: Request, unkept: Unkept) -> None:
    for tool in fields.objects("tools"):
        kind = tool.text("type") or "function"
        if kind == "function":
            request.tools.append(_tool(tool.required_inner("function"), read_cache(tool)))
            unkept.leave_others(tool, _TOOL)
        else:
            unkept.refuse(tool.path, "Offer functions only.", f"tool {kind}")
    legacy = fields.objects("functions")
    request.tools += [_tool(function, "") for function in legacy]
    if legacy or fields.has("function_call"):
        request.echo[LEGACY_FUNCTIONS] = True
    choice = "tool_choice" if fields.has("tool_choice") else "function_call"
    request.tool_choice = _tool_choice(fields, choice, unkept)
    request.parallel_tools = fields.flag("parallel_tool_calls")


def _tool(function: Fields, cache: str) -> Tool:
    return Tool(
        name=function.required_text("name"),
        description=function.text("description"),
        parameters=function.free("parameters"),
        strict=function.flag("strict"),
        cache=cache,
    )


def _tool_choice(fields: Fields, name: str, unkept: Unkept) -> ToolChoice | None:
    said = fields.json.get(name)
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
            unkept.refuse(name, "Choose among functions.")
            return None
        case _:  # {"type": "function", "function": {"name": …}}, or its older form {"name": …}
            named = choice.inner("function") or choice
            return ToolChoice(mode="required", names=[named.required_text("name")])


def _allowed(allowed: Fields) -> ToolChoice:
    names = [(tool.inner("function") or tool).required_text("name") for tool in allowed.objects("tools")]
    return ToolChoice(mode="required" if allowed.text("mode") == "required" else "auto", names=names)


def _read_sampling(fields: Fields, request: Request) -> None:
    request.max_output = fields.count("max_completion_tokens")
    older = fields.count("max_tokens")
    if request.max_output is None:
        request.max_output = older
    request.temperature, request.top_p = fields.number("temperature"), fields.number("top_p")
    request.frequency_penalty = fields.number("frequency_penalty")
    request.presence_penalty = fields.number("presence_penalty")
    request.top_k = fields.whole("top_k")
    request.seed = fields.whole("seed")
    request.n = fields.count("n")
    request.logit_bias = fields.free("logit_bias") or None
    alternatives = fields.count("top_logprobs")
    if fields.flag("logprobs") or (alternatives and not fields.has("logprobs")):
        request.logprobs = alternatives or 0
    stop = fields.json.get("stop")
    if isinstance(stop, str):
        request.stop = [stop] if stop else []
    elif stop is None or (isinstance(stop, list) and all(isinstance(sequence, str) for sequence in stop)):
        request.stop = stop or []
    else:
        raise fields.wrong("stop", "a string or an array of strings")


def _read_answer_form(fields: Fields, request: Request, unkept: Unkept) -> None:
    form = fields.inner("response_format")
    if form is not None:
        match form.required_text("type"):
            case "text":
                pass
            case "json_object":
                request.format = Format(schema=form.free("schema"))
            case "json_schema":
                shape = form.required_inner("json_schema")
                request.format = Format(
                    schema=shape.free("schema"),
                    name=shape.text("name"),
                    description=shape.text("description"),
                    strict=shape.flag("strict"),
                )
            case _:
                unkept.refuse("response_format", "Use text, json_object or json_schema.")
    request.verbosity = fields.text("verbosity")
    modalities = [modality for modality in fields.items("modalities") if modality != "text"]
    if modalities:
        unkept.refuse("modalities", "Ask for text only.")
    if fields.has("audio") and not modalities:
        unkept.leave("audio")
    if fields.has("web_search_options"):
        unkept.refuse("web_search_options", "Leave it out, or offer a function of your own that searches.")
    if fields.has("moderation"):
        unkept.refuse("moderation", "Leave it out, and ask for moderations of their own.")


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


def _read_labels(fields: Fields, request: Request, unkept: Unkept) -> None:
    request.user = fields.text("user")
    safety = fields.text("safety_identifier")
    if request.user and safety and safety != request.user:
        unkept.leave("safety_identifier")
    request.user = request.user or safety
    request.metadata = fields.free("metadata") or None
    if fields.flag("store"):
        unkept.leave("store")
    request.service_tier = fields.text("service_tier")
    request.cache_key = fields.text("prompt_cache_key")


def _read_stream_options(fields: Fields, request: Request, unkept: Unkept) -> None:
    options = fields.inner("stream_options")
    if options is None:
        return
    request.include_usage = bool(options.flag("include_usage"))
    if options.flag("include_obfuscation"):
        unkept.leave("stream_options.include_obfuscation")
    unkept.leave_others(options, _STREAM_OPTIONS)
