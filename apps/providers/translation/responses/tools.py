"""Tools, and the choice of one, as clients of Responses send them. Pure."""

from collections.abc import Iterable

from apps.providers.translation.fields import Fields, Unkept, is_said, require_flat
from apps.providers.translation.form import Tool, ToolChoice
from apps.providers.translation.responses.names import ToolNames

_MODES = ("auto", "none", "required")
# Of a function: what only OpenAI's own running of tools knows.
_HINTS = frozenset({"defer_loading", "allowed_callers", "output_schema", "async"})
_CUSTOM = "Offer it as a function: a tool that takes plain text is known here only to OpenAI."
_HOSTED = "Leave it out, or offer a function that your side runs: this tool is run by OpenAI, which does not serve this model."
_CHOICE = "Name a function, or auto, none or required."


def read_tools(tools: Iterable[Fields], names: ToolNames, unkept: Unkept) -> list[Tool]:
    """The functions among `tools`, out of their namespaces; what else there is cannot be kept. Raises BadRequest."""
    found: list[Tool] = []
    for tool in tools:
        kind = tool.required_text("type")
        if kind == "namespace":
            namespace = tool.required_text("name")
            if tool.text("description"):
                unkept.leave(tool.named("description"))
            for member in tool.objects("tools"):
                if member.text("type") in ("function", ""):
                    found.append(_function(member, names.flat[namespace, member.required_text("name")], unkept))
                else:
                    _refuse(member, unkept)
        elif kind == "function":
            found.append(_function(tool, tool.required_text("name"), unkept))
        else:
            _refuse(tool, unkept)
    return found


def _refuse(tool: Fields, unkept: Unkept) -> None:
    kind = tool.text("type")
    unkept.refuse(tool.path, _CUSTOM if kind == "custom" else _HOSTED, f"tool {kind}")


def _function(tool: Fields, name: str, unkept: Unkept) -> Tool:
    for field, value in tool.json.items():
        if field in _HINTS and is_said(value):
            unkept.leave(tool.named(field))
    parameters = tool.inner("parameters")
    return Tool(
        name=name,
        description=tool.text("description"),
        parameters=parameters.json if parameters is not None else None,
        strict=tool.flag("strict"),
    )


def read_choice(body: Fields, names: ToolNames, unkept: Unkept) -> ToolChoice | None:
    """`tool_choice`; None: it is not said, or cannot be kept. Raises BadRequest."""
    value = body.json.get("tool_choice")
    if value is None:
        return None
    if isinstance(value, str):
        body.word("tool_choice", _MODES)
        return ToolChoice(mode=value) if value else None  # type: ignore[arg-type]  # word() has seen to it
    if not isinstance(value, dict):
        raise body.wrong("tool_choice", "a string or an object")
    require_flat(value, "tool_choice")
    choice = Fields(value, "tool_choice")
    kind = choice.required_text("type")
    if kind == "function":
        return ToolChoice(mode="required", names=_named(choice, names))
    if kind == "allowed_tools":
        allowed: list[str] = []
        for tool in choice.objects("tools"):
            if tool.text("type") in ("function", "namespace", ""):
                allowed += _named(tool, names)
            else:
                unkept.refuse(tool.path, _HOSTED, "tool choice")
        mode = choice.word("mode", ("auto", "required"))
        return ToolChoice(mode="required" if mode == "required" else "auto", names=allowed)
    unkept.refuse("tool_choice", _CHOICE)
    return None


def _named(tool: Fields, names: ToolNames) -> list[str]:
    """The names that the provider knows the chosen tool by: of a namespace, all of its tools'."""
    name = tool.required_text("name")
    if tool.text("type") == "namespace":
        return [flat for (namespace, _), flat in names.flat.items() if namespace == name]
    return [names.flat.get((tool.text("namespace"), name), name)]
