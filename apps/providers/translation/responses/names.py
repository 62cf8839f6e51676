"""What the dialect is called, and how names of tools in namespaces come to be without one. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from apps.providers.translation.told import dicts

NAME = "openai_responses"
TITLE = "OpenAI's Responses"


@dataclass(frozen=True, slots=True)
class ToolNames:
    """A request's tools as its provider knows them and as its client does, who may keep some in namespaces.

    `flat`: namespace and name → the name that the provider is told. `own`: the other way round. Tools outside are in neither.
    """

    flat: Mapping[tuple[str, str], str]
    own: Mapping[str, tuple[str, str]]


def tool_names(tools: object) -> ToolNames:
    """The names of these `tools`, as the client sent them: whatever is none is passed over.

    A tool of a namespace keeps its name where no other has it; else it is called `namespace__name`, with a number if need be.
    """
    outside, members = list[str](), dict[tuple[str, str], None]()
    for tool in dicts(tools):
        name = tool.get("name")
        if not isinstance(name, str):
            continue
        if tool.get("type") != "namespace":
            outside.append(name)
            continue
        for member in dicts(tool.get("tools")):
            if isinstance(member.get("name"), str):
                members[name, member["name"]] = None
    uses = Counter(outside) + Counter(name for _, name in members)
    taken = set(outside) | {name for _, name in members if uses[name] == 1}
    flat, again = dict[tuple[str, str], str](), Counter[str]()
    for namespace, name in members:
        if uses[name] == 1:
            flat[namespace, name] = name
            continue
        joined = wanted = f"{namespace.rstrip('_')}__{name}"
        while joined in taken:
            again[wanted] += 1
            joined = f"{wanted}_{again[wanted]}"
        taken.add(joined)
        flat[namespace, name] = joined
    return ToolNames(flat, {joined: key for key, joined in flat.items()})
