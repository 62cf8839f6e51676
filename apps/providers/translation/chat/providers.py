"""How providers that speak OpenAI's chat differ in the requests that they take. Pure.

Facts: their API references. What nobody is known to refuse is sent; a provider's own refusal then says more than a guess.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from apps.providers.kinds import KINDS
from apps.providers.translation.upstream import Upstream

# Fields that not everybody takes, each by its name in OpenAI's chat; a few by a name of ours.
_COMMON = frozenset(
    {"logit_bias", "logprobs", "n", "seed", "user", "name", "parallel_tool_calls", "files", "named_tool"}
)
_OPENAIS = _COMMON | {"verbosity", "refusal", "custom", "allowed_tools", "file_ids"}

type Breakpoints = Literal["", "prompt_cache_breakpoint", "cache_control"]
type Efforts = Literal["any", "listed", "known", "thinking"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What a provider takes."""

    takes: frozenset[str] = _COMMON
    output_cap: str = "max_tokens"
    seed: str = "seed"
    forced: str = "required"  # its word for: some tool must be called
    tiers: frozenset[str] = frozenset()  # of service, beside its standard one
    # How it is told how much to think: `reasoning_effort`; that, but of models alone whose row lists efforts, or says that they
    # think; a switch `thinking`.
    efforts: Efforts = "any"
    offered: tuple[str, ...] = ("none", "low", "medium", "high")  # efforts of models whose row lists none
    # How it takes back thoughts with the calls that they led to: under this name, or as parts of the content; empty: not at all.
    returns: Literal["", "reasoning_content", "reasoning", "parts"] = ""
    needs_thoughts: bool = False  # refuses calls without them, while it thinks
    keeps_details: bool = False  # wants signatures back as it has sent them
    marks: Breakpoints = ""  # how it is told up to where the prompt may be kept
    documents: Literal["file", "document_url"] = "file"
    schemas: Literal["json_schema", "json_object"] = "json_schema"  # the type of answer that it takes a schema with
    is_strict_in_order: bool = False  # one turn after the other, none of the user's after a tool's
    tool_id: re.Pattern[str] | None = None  # what the id of a call must look like
    empty: str | None = None  # the content of an assistant's message that has none
    is_strict_in_fields: bool = False  # refuses those of messages that it does not know, be they null
    prefills: bool = False  # goes on with an assistant's last message, once it is marked as `prefix`


_HABITS: Mapping[str, Habits] = {
    "openai": Habits(
        takes=_OPENAIS | {"prompt_cache_key"},
        output_cap="max_completion_tokens",
        tiers=frozenset({"flex", "priority", "fast", "scale"}),
        offered=("none", "minimal", "low", "medium", "high", "xhigh", "max"),
    ),
    "azure_openai": Habits(
        takes=_OPENAIS,
        output_cap="max_completion_tokens",
        offered=("none", "minimal", "low", "medium", "high", "xhigh", "max"),
    ),
    # Refuses every field that it does not know.
    "mistral": Habits(
        takes=frozenset({"n", "seed", "logprobs", "parallel_tool_calls", "files", "named_tool"}),
        seed="random_seed",
        forced="any",
        efforts="listed",
        documents="document_url",
        is_strict_in_order=True,
        is_strict_in_fields=True,
        tool_id=re.compile(r"[a-zA-Z0-9]{9}"),
        empty="",
        prefills=True,
        returns="parts",
    ),
    "cohere": Habits(takes=frozenset({"seed"}), offered=("none", "high"), schemas="json_object"),
    "groq": Habits(takes=frozenset({"seed", "user", "parallel_tool_calls", "named_tool"}), tiers=frozenset({"flex"})),
    "deepseek": Habits(
        takes=frozenset({"logprobs", "named_tool"}),
        efforts="thinking",
        offered=("none", "low", "high", "max"),
        returns="reasoning_content",
        needs_thoughts=True,
    ),
    "moonshot": Habits(
        takes=frozenset({"n", "files"}),
        efforts="thinking",
        offered=(),
        returns="reasoning_content",
        needs_thoughts=True,
    ),
    "xai": Habits(efforts="listed"),
    "cerebras": Habits(takes=frozenset({"logprobs", "seed", "user", "parallel_tool_calls", "named_tool"})),
    "together": Habits(takes=_COMMON | {"top_k"}),
    "fireworks": Habits(takes=_COMMON | {"top_k"}),
    "openrouter": Habits(
        takes=_COMMON | {"top_k", "verbosity", "file_urls"},
        offered=("none", "minimal", "low", "medium", "high", "xhigh"),
        keeps_details=True,
        marks="cache_control",
        prefills=True,
    ),
    # Refuses to let a model think that cannot, and does not heed tool_choice.
    "ollama": Habits(
        takes=frozenset({"seed", "user", "name", "logprobs"}), efforts="known", forced="", returns="reasoning"
    ),
    "openai_compatible": Habits(takes=_COMMON | {"top_k"}, keeps_details=True),
}
_OTHERS = Habits()

_GPT = re.compile(r"gpt-(\d+)(?:\.(\d+))?(?:-|$)")


def habits_of(upstream: Upstream) -> Habits:
    """What the provider takes."""
    return habits_named(upstream.provider)


def habits_named(provider: str) -> Habits:
    """What a provider takes, by its name."""
    return _HABITS.get(provider, _OTHERS)


def marks_of(upstream: Upstream) -> Breakpoints:
    """How the model is told up to where the prompt may be kept; empty: it is not, most keep it of themselves."""
    if upstream.provider == "openai":
        gpt = _GPT.match(upstream.model)
        return "prompt_cache_breakpoint" if gpt and (int(gpt[1]), int(gpt[2] or 0)) >= (5, 6) else ""
    return habits_of(upstream).marks


def takes_stream_options(upstream: Upstream) -> bool:
    """Whether a stream's usage has to be asked for."""
    kind = KINDS.get(upstream.provider)
    return kind is None or kind.takes_stream_options
