"""What clients call the fields that writers of requests name in chat's words. Pure."""

import re
from collections.abc import Callable, Mapping
from functools import partial

type Called = Callable[[str], str]

_RESPONSES: Mapping[str, str] = {
    "file.filename": "input_file.filename",
    "logprobs": "top_logprobs",
    "messages": "input",
    "reasoning_effort": "reasoning.effort",
    "response_format": "text.format",
    "verbosity": "text.verbosity",
}
_MESSAGES: Mapping[str, str] = {
    "file.filename": "document.title",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "reasoning_effort": "thinking",
    "response_format": "output_config.format",
    "stop": "stop_sequences",
    "user": "metadata.user_id",
}
_GEMINI: Mapping[str, str] = {
    "file.filename": "inlineData.displayName",
    "frequency_penalty": "generationConfig.frequencyPenalty",
    "logprobs": "generationConfig.responseLogprobs",
    "messages": "contents",
    "n": "generationConfig.candidateCount",
    "presence_penalty": "generationConfig.presencePenalty",
    "reasoning_effort": "generationConfig.thinkingConfig",
    "response_format": "generationConfig.responseSchema",
    "seed": "generationConfig.seed",
    "service_tier": "serviceTier",
    "stop": "generationConfig.stopSequences",
    "temperature": "generationConfig.temperature",
    "tool_choice": "toolConfig.functionCallingConfig",
    "top_k": "generationConfig.topK",
    "top_p": "generationConfig.topP",
}
_NAMES: Mapping[str, Mapping[str, str]] = {"openai_responses": _RESPONSES, "anthropic": _MESSAGES, "gemini": _GEMINI}
_FUNCTION = re.compile(r"(tools\[\d+\])\.function\b")
_TURN = re.compile(r"messages(\[\d+\])(?:\.content(\[\d+\]))?")


def called_by(dialect: str) -> Called:
    """How clients of a dialect, by its name in signatures, call a field: a path in chat's words becomes one in theirs."""
    names = _NAMES.get(dialect)
    return _same if names is None else partial(_called, dialect, names)


def _same(field: str) -> str:
    return field


def _called(dialect: str, names: Mapping[str, str], field: str) -> str:
    if (known := names.get(field)) is not None:
        return known
    if dialect == "openai_responses" and field.startswith("messages["):
        return "input"  # a turn may be several items there: which one it was is not known any more
    if dialect == "gemini":
        return _TURN.sub(_content, field)
    return _FUNCTION.sub(r"\1", field)


def _content(turn: re.Match[str]) -> str:
    return f"contents{turn[1]}" + (f".parts{turn[2]}" if turn[2] else "")
