"""Reading requests in Gemini's words. Pure.

The model and whether a stream is wanted stand in the path.
"""

from collections.abc import Mapping
from typing import Any

from apps.core.errors import InvalidValue
from apps.providers.translation.fields import missing, parsed, wrong_type, wrong_value
from apps.providers.translation.form import Format, Json, Reasoning, Request, Tool, ToolChoice
from apps.providers.translation.gemini.contents import DETAILS, Contents, system_texts
from apps.providers.translation.gemini.fields import (
    boolean,
    fields,
    joined,
    listed,
    number,
    spellings,
    string,
    strings,
    unknown,
    whole,
    word,
)
from apps.providers.translation.gemini.schemas import json_schema

_REQUEST = spellings(
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "generationConfig",
    "safetySettings",
    "cachedContent",
    "labels",
    "serviceTier",
    "continuationToken",
    "model",
)
_GENERATION = spellings(
    "temperature",
    "topP",
    "topK",
    "candidateCount",
    "maxOutputTokens",
    "stopSequences",
    "responseLogprobs",
    "logprobs",
    "presencePenalty",
    "frequencyPenalty",
    "seed",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "responseModalities",
    "mediaResolution",
    "thinkingConfig",
)
_THINKING = spellings("includeThoughts", "thinkingBudget", "thinkingLevel")
_TOOL = spellings("functionDeclarations")
_FUNCTION = spellings("name", "description", "parameters", "parametersJsonSchema")
# What a function answers, and whether the model waits for it: told to the model, or of its live API.
_FUNCTION_HINTS = spellings("response", "responseJsonSchema", "behavior")
_TOOL_CONFIG = spellings("functionCallingConfig")
_CALLING = spellings("mode", "allowedFunctionNames")
_LEFT_MAX = 64


def read_request(body: bytes, model: str, stream: bool | None) -> Request:  # noqa: FBT001  # Spoken's signature
    """A generateContent request. Raises BadRequest naming the field."""
    given = fields(parsed(body).json, "", _REQUEST)
    request = Request(model=model, messages=[], stream=bool(stream))
    left, fatal = request.left, request.fatal
    left.extend(unknown(given, _REQUEST))
    left.extend(name for name in ("safetySettings",) if given.get(name))
    if string(given, "cachedContent", ""):
        fatal["cachedContent"] = "Send the content itself."
    if "continuationToken" in given:
        fatal["continuationToken"] = "Send the whole conversation."
    config = given.get("generationConfig", {})
    detail = _generation(fields(config, "generationConfig", _GENERATION), request)
    if "systemInstruction" in given:
        request.system = system_texts(given["systemInstruction"], "systemInstruction", left, fatal)
    contents = Contents(left, fatal, detail=detail)
    for index, content in enumerate(listed(given, "contents", "")):
        contents.read(content, f"contents[{index}]")
    request.messages = contents.messages()
    if not request.messages and not fatal:
        raise missing("contents")
    _tools(listed(given, "tools", ""), request)
    _calling(given.get("toolConfig", {}), request)
    request.metadata = _labels(given.get("labels"))
    tier = word(given, "serviceTier", "").lower()
    request.service_tier = "default" if tier == "standard" else tier
    del left[_LEFT_MAX:]
    return request


def _generation(given: Mapping[str, Any], request: Request) -> str:
    """Fills in what the configuration says; returns the detail in which pictures are to be looked at."""
    at = "generationConfig"
    request.left.extend(joined(at, name) for name in unknown(given, _GENERATION))
    request.temperature = number(given, "temperature", at)
    request.top_p = number(given, "topP", at)
    request.top_k = whole(given, "topK", at)
    request.n = whole(given, "candidateCount", at)
    request.max_output = whole(given, "maxOutputTokens", at)
    request.stop = strings(given, "stopSequences", at)
    request.seed = whole(given, "seed", at)
    request.presence_penalty = number(given, "presencePenalty", at)
    request.frequency_penalty = number(given, "frequencyPenalty", at)
    alternatives = whole(given, "logprobs", at)
    if boolean(given, "responseLogprobs", at):
        request.logprobs = alternatives or 0
    elif alternatives:
        request.left.append(f"{at}.logprobs")
    request.format = _format(given, request)
    modalities = [each.upper() for each in strings(given, "responseModalities", at)]
    if [each for each in modalities if each not in ("TEXT", "MODALITY_UNSPECIFIED")]:
        request.fatal[f"{at}.responseModalities"] = "Ask for TEXT."
    if "thinkingConfig" in given:
        request.reasoning = _thinking(given["thinkingConfig"], f"{at}.thinkingConfig", request.left)
    return DETAILS.get(word(given, "mediaResolution", at).removeprefix("MEDIA_RESOLUTION_"), "")


def _format(given: Mapping[str, Any], request: Request) -> Format | None:
    at = "generationConfig"
    kind = string(given, "responseMimeType", at).lower()
    schema: Json | None = None
    if "responseJsonSchema" in given:
        schema = _object(given["responseJsonSchema"], f"{at}.responseJsonSchema")
    elif "responseSchema" in given:
        schema = json_schema(given["responseSchema"], f"{at}.responseSchema")
    if kind not in ("", "text/plain", "application/json"):
        request.fatal[f"{at}.responseMimeType"] = "Use application/json, with the values as an enum in the schema."
        return None
    return Format(schema=schema) if kind == "application/json" or schema is not None else None


def _thinking(value: object, at: str, left: list[str]) -> Reasoning:
    given = fields(value, at, _THINKING)
    left.extend(joined(at, name) for name in unknown(given, _THINKING))
    level, budget = word(given, "thinkingLevel", at).lower(), whole(given, "thinkingBudget", at)
    if level and budget is not None:
        raise InvalidValue(f"'{at}' has both thinkingLevel and thinkingBudget: keep one.", param=at)
    return Reasoning(effort=level, budget=budget, shown=boolean(given, "includeThoughts", at))


def _tools(tools: list[Any], request: Request) -> None:
    for index, tool in enumerate(tools):
        at = f"tools[{index}]"
        given = fields(tool, at, _TOOL)
        for name in unknown(given, _TOOL):
            request.fatal[joined(at, name)] = "It is a tool that Google runs: declare functions of your own instead."
        for place, function in enumerate(listed(given, "functionDeclarations", at)):
            request.tools.append(_function(function, f"{at}.functionDeclarations[{place}]", request.left))


def _function(value: object, at: str, left: list[str]) -> Tool:
    given = fields(value, at, _FUNCTION)
    name = string(given, "name", at)
    if not name:
        raise missing(f"{at}.name")
    for extra in unknown(given, _FUNCTION):
        kind = _FUNCTION_HINTS.get(extra, extra)
        if len(left) < _LEFT_MAX and not any(path.endswith("]." + kind) for path in left):
            left.append(joined(at, kind))
    parameters: Json | None = None
    if "parametersJsonSchema" in given:
        parameters = _object(given["parametersJsonSchema"], f"{at}.parametersJsonSchema")
    elif "parameters" in given:
        parameters = json_schema(given["parameters"], f"{at}.parameters")
    return Tool(name=name, description=string(given, "description", at), parameters=parameters)


def _calling(value: object, request: Request) -> None:
    given = fields(value, "toolConfig", _TOOL_CONFIG)
    request.left.extend(joined("toolConfig", name) for name in unknown(given, _TOOL_CONFIG))
    if "functionCallingConfig" not in given:
        return
    at = "toolConfig.functionCallingConfig"
    given = fields(given["functionCallingConfig"], at, _CALLING)
    request.left.extend(joined(at, name) for name in unknown(given, _CALLING))
    mode = word(given, "mode", at).removeprefix("MODE_")
    names = strings(given, "allowedFunctionNames", at)
    if mode == "VALIDATED":  # as AUTO, with arguments that keep to their schemas
        request.left.append(f"{at}.mode")
    elif mode not in ("", "AUTO", "ANY", "NONE"):
        raise wrong_value(f"{at}.mode", "use AUTO, ANY or NONE")
    if mode == "NONE":
        request.tool_choice = ToolChoice(mode="none")
    elif mode == "ANY":
        request.tool_choice = ToolChoice(mode="required", names=names)
    elif mode or names:
        request.tool_choice = ToolChoice(mode="auto", names=names)


def _labels(value: object) -> Json | None:
    if value is None:
        return None
    return _object(value, "labels") or None


def _object(value: object, at: str) -> Json:
    if not isinstance(value, dict):
        raise wrong_type(at, "an object")
    return value
