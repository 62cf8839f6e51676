"""What a response repeats of its request, each field as clients expect it: present, and of its type. Pure."""

from collections.abc import Sequence

from apps.providers.translation.fields import Fields
from apps.providers.translation.form import Json

# What is repeated as it was sent, and what stands there otherwise.
_REPEATED: Json = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "temperature": 1.0,
    "top_p": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "top_logprobs": 0,
    "tool_choice": "auto",
    "truncation": "disabled",
    "safety_identifier": None,
    "prompt_cache_key": None,
    "user": None,
}
# What tools have, said or not, by their type.
_TOOLS: dict[object, Json] = {
    "function": {"description": None, "parameters": None, "strict": None},
    "namespace": {"description": "", "tools": []},
}
# Nothing is kept here, so nothing earlier is continued, nor fetched later.
_KEPT: Json = {"previous_response_id": None, "store": False, "background": False}


def echo_of(request: Fields, tools: Sequence[Json]) -> Json:
    """The fields to repeat. `tools`: all that are offered, wherever the request names them."""
    sent = request.json
    reasoning, text, metadata = (sent.get(name) or {} for name in ("reasoning", "text", "metadata"))
    repeated = {name: default if (value := sent.get(name)) is None else value for name, default in _REPEATED.items()}
    return {
        **_KEPT,
        **repeated,
        "tools": [_TOOLS.get(tool.get("type"), {}) | tool for tool in tools],
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "text": {"format": text.get("format") or {"type": "text"}, "verbosity": text.get("verbosity") or "medium"},
        "metadata": {key: value for key, value in metadata.items() if isinstance(value, str)},
    }


NOTHING_SAID: Json = echo_of(Fields({}), [])
