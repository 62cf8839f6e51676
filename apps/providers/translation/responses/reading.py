"""Requests as clients of Responses send them. Pure."""

from apps.providers.translation.fields import Fields, Unkept, is_said, parsed, require_flat
from apps.providers.translation.form import Format, Reasoning, Request, Text
from apps.providers.translation.responses.conversation import STORED, Conversation
from apps.providers.translation.responses.echo import echo_of
from apps.providers.translation.responses.names import tool_names
from apps.providers.translation.responses.tools import read_choice, read_tools

_LOGPROBS = "message.output_text.logprobs"
_INCLUDED = frozenset({_LOGPROBS, "reasoning.encrypted_content"})
_REASONING = frozenset({"effort", "summary", "generate_summary", "context", "mode"})
_SUMMARIES = ("auto", "concise", "detailed")
_VERBOSITIES = ("low", "medium", "high")

# What is read; of the rest, nothing is known.
_READ = frozenset(
    {"model", "stream", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning"}
    | {"include", "max_output_tokens", "temperature", "top_p", "top_logprobs", "frequency_penalty", "presence_penalty"}
    | {"user", "safety_identifier", "metadata", "service_tier", "prompt_cache_key"}
)
# Nothing is lost with these: how a stream is padded is the gateway's.
_WITHOUT_LOSS = frozenset({"stream_options"})
# Without these the request means something else. By name: what to do.
_FATAL = {
    "previous_response_id": STORED,
    "conversation": STORED,
    "prompt": "Send the prompt's text as instructions and input: this model's provider knows no templates.",
    "background": "Leave it out, and wait for the answer: this model's provider stores none to be fetched later.",
    "context_management": "Leave it out, and shorten the input yourself: this model's provider does not.",
    "max_tool_calls": "Leave it out: this model's provider runs no tools itself.",
    "moderation": "Leave it out: this model's provider judges no content on the way.",
}


def read_request(body: bytes, model: str, stream: bool | None) -> Request:  # noqa: FBT001 - the shape that all dialects share
    """A request for a response. Raises BadRequest naming the field."""
    fields, unkept = parsed(body), Unkept()
    for name, value in fields.json.items():
        if name in _FATAL:
            if is_said(value):
                unkept.refuse(name, _FATAL[name])
        elif name == "truncation":
            if fields.word(name, ("auto", "disabled")) == "auto":
                unkept.refuse(name, "Leave it out, and shorten the input yourself: this model's provider does not.")
        elif name == "store":
            if fields.flag(name):
                unkept.leave(name)
        elif name not in _READ and name not in _WITHOUT_LOSS and value is not None:
            unkept.leave(name)
    fields.count("max_tool_calls")  # which answers repeat, whether it is borne or not
    model = model or fields.required_text("model")
    items = _items(fields)
    offered = fields.objects("tools")
    for item in items:
        if item.json.get("type") == "additional_tools":
            offered += item.objects("tools")
    for tool in offered:
        require_flat(tool.json, tool.path)  # which is repeated whole, whatever it holds
    tools = [tool.json for tool in offered]
    names = tool_names(tools)
    talk = Conversation(items, names, unkept)
    instructions = fields.text("instructions")
    request = Request(
        model=model,
        messages=talk.messages,
        system=[Text(instructions), *talk.system] if instructions else talk.system,
        tools=read_tools(offered, names, unkept),
        tool_choice=read_choice(fields, names, unkept),
        parallel_tools=fields.flag("parallel_tool_calls"),
        reasoning=_reasoning(fields, unkept),
        max_output=fields.count("max_output_tokens"),
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        logprobs=_logprobs(fields, unkept),
        frequency_penalty=fields.number("frequency_penalty"),
        presence_penalty=fields.number("presence_penalty"),
        stream=bool(fields.flag("stream") if stream is None else stream),
        user=fields.text("safety_identifier") or fields.text("user"),
        metadata=fields.free("metadata"),
        service_tier=fields.text("service_tier"),
        cache_key=fields.text("prompt_cache_key"),
        left=unkept.left,
        fatal=unkept.fatal,
    )
    _read_text(fields, request, unkept)
    request.echo = echo_of(fields, tools)
    return request


def _items(fields: Fields) -> list[Fields]:
    value = fields.json.get("input")
    if isinstance(value, str):
        return [Fields({"type": "message", "role": "user", "content": value}, "input")]
    if value is None:
        if fields.has("prompt"):
            return []
        raise fields.missing("input")
    if not isinstance(value, list):
        raise fields.wrong("input", "a string or an array of items")
    return fields.objects("input")


def _reasoning(fields: Fields, unkept: Unkept) -> Reasoning | None:
    asked = fields.inner("reasoning")
    if asked is None:
        return None
    for name, usual in (("context", "auto"), ("mode", "standard")):
        if asked.text(name) not in ("", usual):
            unkept.leave(asked.named(name))
    unkept.leave_others(asked, _REASONING)
    summary = asked.word("summary", _SUMMARIES) or asked.word("generate_summary", _SUMMARIES)
    return Reasoning(effort=asked.text("effort"), shown=True if summary else None)


def _read_text(fields: Fields, request: Request, unkept: Unkept) -> None:
    text = fields.inner("text")
    if text is None:
        return
    request.verbosity = text.word("verbosity", _VERBOSITIES)
    form = text.inner("format")
    if form is None:
        return
    require_flat(form.json, form.path)
    kind = form.required_text("type")
    if kind == "json_object":
        request.format = Format()
    elif kind == "json_schema":
        schema = form.inner("schema")
        if schema is None:
            raise form.missing("schema")
        request.format = Format(
            schema=schema.json,
            name=form.required_text("name"),
            description=form.text("description"),
            strict=form.flag("strict"),
        )
    elif kind != "text":
        unkept.refuse("text.format", "Use text, json_object or json_schema.")


def _logprobs(fields: Fields, unkept: Unkept) -> int | None:
    include = fields.texts("include")
    if not _INCLUDED.issuperset(include):
        unkept.leave("include")
    top = fields.count("top_logprobs")
    return top or 0 if top or _LOGPROBS in include else None
