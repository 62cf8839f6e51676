"""Reading the tools that a client offers, how they are to be chosen, and what its messages change about them. Pure."""

import re

from apps.providers.translation.fields import Fields, Unkept
from apps.providers.translation.form import Tool, ToolChoice
from apps.providers.translation.messages.blocks import read_cache

# Tools that the client runs, of which only Anthropic's models know what they take.
_KNOWN_BY_HEART = re.compile(r"(?:bash|text_editor|computer|memory|computer_toolset|browser_toolset)_\d+")
_DESCRIBE_IT = "Describe it as a tool of your own, with an input_schema, or ask for one of Anthropic's models."
_RUNS_ELSEWHERE = "It runs at Anthropic: leave it out, or ask for one of Anthropic's models."

# Those that say nothing here are no loss: arguments stream as they come, and nobody but the model calls.
_FIELDS = frozenset(
    {
        "type",
        "name",
        "description",
        "input_schema",
        "strict",
        "cache_control",
        "eager_input_streaming",
        "allowed_callers",
    }
)


def read_tools(body: Fields, unkept: Unkept) -> list[Tool]:
    """The client's own tools; Anthropic's are refused. Raises BadRequest."""
    found = []
    for fields in body.objects("tools"):
        tool = read_tool(fields, unkept)
        if tool is not None:
            found.append(tool)
    return found


def read_tool(fields: Fields, unkept: Unkept) -> Tool | None:
    """One tool; None for one of Anthropic's, which is refused."""
    kind = fields.text("type")
    if kind not in ("", "custom"):
        unkept.refuse(fields.path, _DESCRIBE_IT if _KNOWN_BY_HEART.fullmatch(kind) else _RUNS_ELSEWHERE)
        return None
    unkept.leave_others(fields, _FIELDS)
    schema = fields.free("input_schema")
    if schema is None:
        raise fields.missing("input_schema")
    return Tool(
        name=fields.filled_text("name"),
        description=fields.text("description"),
        parameters=schema,
        strict=fields.flag("strict"),
        cache=read_cache(fields),
    )


def read_choice(body: Fields) -> tuple[ToolChoice | None, bool | None]:
    """How tools are to be chosen, and whether several may be called at once; None where nothing is said."""
    choice = body.inner("tool_choice")
    if choice is None:
        return None, None
    parallel = False if choice.flag("disable_parallel_tool_use") else None
    match choice.filled_text("type"):
        case "auto":
            return ToolChoice(mode="auto"), parallel
        case "any":
            return ToolChoice(mode="required"), parallel
        case "none":
            return ToolChoice(mode="none"), parallel
        case "tool":
            return ToolChoice(mode="required", names=[choice.filled_text("name")]), parallel
        case _:
            raise choice.impossible("type", "use auto, any, tool or none")


class ToolChanges:
    """Tools that messages of the role system offer, or no longer offer, in the midst of a conversation."""

    __slots__ = ("_named", "_removed", "_unkept")

    def __init__(self, unkept: Unkept) -> None:
        self._unkept = unkept
        self._named: dict[str, Tool] = {}
        self._removed: set[str] = set()

    def read(self, message: Fields) -> None:
        """Take in a message's blocks of types `tool_addition` and `tool_removal`."""
        content = message.json.get("content")
        for place, each in enumerate(content if isinstance(content, list) else []):
            if not isinstance(each, dict) or each.get("type") not in ("tool_addition", "tool_removal"):
                continue
            block = Fields(each, f"{message.named('content')}[{place}]")
            change = block.required_inner("tool")
            match change.filled_text("type"):
                case "tool_reference":
                    self._refer(change.filled_text("name"), is_added=each["type"] == "tool_addition", path=block.path)
                case "tool_definition" if each["type"] == "tool_addition":
                    self._define(change.required_inner("definition"))
                case _:
                    self._unkept.refuse(block.path, _RUNS_ELSEWHERE)

    def applied(self, tools: list[Tool]) -> list[Tool]:
        """The tools that are offered after all."""
        given = {tool.name for tool in tools}
        tools = [self._named.get(tool.name, tool) for tool in tools]
        tools += [tool for name, tool in self._named.items() if name not in given]
        return [tool for tool in tools if tool.name not in self._removed]

    def _refer(self, name: str, *, is_added: bool, path: str) -> None:
        if is_added:
            self._removed.discard(name)
            self._unkept.leave(path)  # it is offered from the beginning
        else:
            self._removed.add(name)

    def _define(self, definition: Fields) -> None:
        tool = read_tool(definition, self._unkept)
        if tool is not None:
            self._named[tool.name] = tool
            self._removed.discard(tool.name)
