"""Reading a client's request. Pure."""

from typing import Literal

from apps.providers.betas import betas_lost
from apps.providers.translation.fields import Fields, Unkept, parsed
from apps.providers.translation.form import Format, Message, Request, Text
from apps.providers.translation.messages.blocks import Met, mark_last, read_cache, read_content, read_summary
from apps.providers.translation.messages.reasoning import read_reasoning
from apps.providers.translation.messages.tools import ToolChanges, read_choice, read_tools

# Claude Code's first instruction, another one with every request: for Anthropic's accounts, and no model's to read.
_BILLING = "x-anthropic-billing-header:"

_KNOWN = frozenset(
    {
        *("model", "messages", "system", "max_tokens", "stream", "stop_sequences", "temperature", "top_p", "top_k"),
        *(
            "tools",
            "tool_choice",
            "thinking",
            "output_config",
            "output_format",
            "metadata",
            "service_tier",
            "cache_control",
        ),
        *("container", "mcp_servers", "inference_geo", "compaction", "thread", "anthropic_version", "anthropic_beta"),
    }
)
_OUTPUT = frozenset({"effort", "format"})
_METADATA = frozenset({"user_id"})
_MESSAGE = frozenset({"role", "content", "clear_at"})
_TIERS = {"auto": "auto", "standard_only": "default"}

# What only Anthropic's own API can do, and what to do without it.
_ONLY_THERE = {
    "container": "Leave it out: this model's provider has no containers.",
    "mcp_servers": "Leave it out: this model's provider calls no MCP servers. Call them yourself, and offer what they do as tools.",
    "inference_geo": "Leave it out: this model's provider does not let a request say where it is served.",
    "compaction": "Leave it out, and ask the model in a message of your own for a summary.",
    "thread": "Leave it out, and send the whole conversation: this model's provider keeps none.",
}
_ANYWHERE: tuple[object, ...] = (None, [], {}, "", "global", "not_available")


def _leave_betas(said: object, unkept: Unkept) -> None:
    """Names of betas in the body, as clients of clouds that have no such header say them."""
    names = said if isinstance(said, list) else [said] if said else []
    for name in names:
        if not isinstance(name, str) or betas_lost(name.encode("latin-1", "replace")):
            unkept.leave("anthropic_beta")


def read_request(body: bytes, model: str, stream: bool | None) -> Request:  # noqa: FBT001  # Spoken's signature
    """The request. `model`, `stream`: of the path, where they stand there. Raises BadRequest naming the field."""
    fields = parsed(body)
    unkept = Unkept()
    unkept.leave_others(fields, _KNOWN)
    for name, remedy in _ONLY_THERE.items():
        if fields.json.get(name) not in _ANYWHERE:
            unkept.refuse(name, remedy)
    _leave_betas(fields.json.get("anthropic_beta"), unkept)
    changes = ToolChanges(unkept)
    messages = _messages(fields, unkept, changes)
    if cache := read_cache(fields):
        for message in messages[-1:]:
            mark_last(message.parts, cache)
    choice, parallel = read_choice(fields)
    output = fields.inner("output_config")
    if output is not None:
        unkept.leave_others(output, _OUTPUT)
    return Request(
        model=model or fields.filled_text("model"),
        messages=messages,
        system=_system(fields, unkept),
        tools=changes.applied(read_tools(fields, unkept)),
        tool_choice=choice,
        parallel_tools=parallel,
        format=_format(fields, output),
        reasoning=read_reasoning(fields, output, unkept),
        max_output=fields.count("max_tokens"),
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.count("top_k"),
        stop=fields.texts("stop_sequences"),
        stream=fields.flag("stream") or False if stream is None else stream,
        include_usage=True,
        user=_user(fields, unkept),
        service_tier=_tier(fields),
        left=unkept.left,
        fatal=unkept.fatal,
    )


def _messages(body: Fields, unkept: Unkept, changes: ToolChanges) -> list[Message]:
    if not body.has("messages"):
        raise body.missing("messages")
    given = body.objects("messages")
    if not given:
        raise body.impossible("messages", "send at least one message")
    last_of_user = max((place for place, each in enumerate(given) if each.json.get("role") == "user"), default=-1)
    met = Met(unkept)
    found: list[Message] = []
    for place, fields in enumerate(given):
        unkept.leave_others(fields, _MESSAGE)
        role = fields.filled_text("role")
        if role == "system":
            changes.read(fields)
            # Instructions of one turn stay in the list after it, and are not shown to the model any more.
            if fields.text("clear_at") == "next_user_message" and place < last_of_user:
                continue
            if fields.has("content"):
                _add(found, "system", fields, met)
        elif role == "user":
            _add(found, "user", fields, met)
        elif role == "assistant":
            if summary := read_summary(fields):
                found = [Message("user", [summary])]
            _add(found, "assistant", fields, met)
        else:
            raise fields.impossible("role", "use user, assistant or system")
    if not found and not unkept.fatal:
        raise body.impossible("messages", "send at least one message that says something")
    return found


def _add(messages: list[Message], role: Literal["system", "user", "assistant"], fields: Fields, met: Met) -> None:
    parts = read_content(fields, "content", met, role)
    if parts:
        messages.append(Message(role, parts))


def _system(body: Fields, unkept: Unkept) -> list[Text]:
    parts = read_content(body, "system", Met(unkept), "system") if body.has("system") else []
    texts = [part for part in parts if isinstance(part, Text)]
    if texts and texts[0].text.startswith(_BILLING):
        unkept.leave("system" if isinstance(body.json["system"], str) else "system[0]")
        texts[0].text = texts[0].text.partition("\n")[2]
    return [text for text in texts if text.text]


def _format(body: Fields, output: Fields | None) -> Format | None:
    """`output_config.format`, or `output_format`, as it was called before."""
    asked = output.inner("format") if output is not None else None
    if asked is None:
        asked = body.inner("output_format")
    if asked is None:
        return None
    if asked.filled_text("type") != "json_schema":
        raise asked.impossible("type", "use json_schema")
    schema = asked.free("schema")
    if schema is None:
        raise asked.missing("schema")
    return Format(schema=schema, strict=True)


def _user(body: Fields, unkept: Unkept) -> str:
    metadata = body.inner("metadata")
    if metadata is None:
        return ""
    unkept.leave_others(metadata, _METADATA)
    return metadata.text("user_id")


def _tier(body: Fields) -> str:
    tier = body.text("service_tier")
    return _TIERS.get(tier, tier)
