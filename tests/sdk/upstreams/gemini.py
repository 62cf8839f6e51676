"""A provider that speaks Gemini's generateContent. Calls of functions have no ids there, and their first one is signed."""

import base64
import json
from collections.abc import Iterator
from typing import Any

from tests.sdk.replies import CACHED, FAILING, INPUT, PROOF, Json, Reply, Seen, ToolUse, Wrong, need, only, pieces
from tests.support import contents
from tests.support.provider import Received

DIALECT = "gemini"
PATH = ":generateContent"
STREAM_PATH = ":streamGenerateContent"
IDS = ""
PROVES = TELLS = COUNTS = True
OVERLOAD = 503
_FINISHES = {"": "STOP", "cut": "MAX_TOKENS", "filtered": "SAFETY"}
_STAND_IN = "skip_thought_signature_validator"
_FIELDS = ("contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings", "serviceTier")
_CONFIG = (
    *("maxOutputTokens", "temperature", "topP", "topK", "stopSequences", "candidateCount", "responseMimeType"),
    *(
        "responseJsonSchema",
        "responseSchema",
        "thinkingConfig",
        "responseLogprobs",
        "logprobs",
        "seed",
        "mediaResolution",
    ),
)


def camel(value: Any, *, is_data: bool = False) -> Any:
    """Google takes both spellings of a field, and schemas and arguments as they are."""
    if isinstance(value, list):
        return [camel(each) for each in value]
    if not isinstance(value, dict) or is_data:
        return value
    found = {}
    for key, inner in value.items():
        first, *rest = key.split("_")
        name = first + "".join(word.capitalize() for word in rest)
        found[name] = camel(inner, is_data=name.endswith("chema") or name in ("args", "response", "parameters"))
    return found


def read(received: Received) -> Seen:
    body = camel(received.json)
    only(body, *_FIELDS)
    config = body.get("generationConfig") or {}
    only(config, *_CONFIG, at="generationConfig.")
    seen = Seen(stream=STREAM_PATH in received.path)
    seen.stop, seen.several = config.get("stopSequences") or [], config.get("candidateCount") or 1
    seen.logprobs = config.get("responseLogprobs") is True
    thinking = config.get("thinkingConfig") or {}
    only(thinking, "thinkingLevel", "includeThoughts", at="thinkingConfig.")
    seen.thinks, seen.shows_thoughts = bool(thinking), thinking.get("includeThoughts") is True
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    if calling.get("mode") == "ANY":
        (seen.forced,) = calling["allowedFunctionNames"]
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    if schema is not None:
        need(config.get("responseMimeType") == "application/json", "responseMimeType")
        seen.schema = schema
    for tool in body.get("tools", ()):
        for function in tool["functionDeclarations"]:
            seen.tools[function["name"]] = function.get("parametersJsonSchema") or function.get("parameters")
    seen.system = "".join(part["text"] for part in (body.get("systemInstruction") or {}).get("parts", ()))
    roles = [content.get("role", "user") for content in body["contents"]]
    need(all(role in ("user", "model") for role in roles), f"roles {roles}")
    for role, content in zip(roles, body["contents"], strict=True):
        _read_content(content["parts"], seen, is_user=role == "user")
    return seen


def _read_content(parts: list[Json], seen: Seen, *, is_user: bool) -> None:
    calls = [part for part in parts if "functionCall" in part]
    if calls:
        proof = calls[0].get("thoughtSignature")
        need(proof in (PROOF, _STAND_IN), f"Function call is missing a thought_signature: {calls[0]}")
        seen.proof = proof
    for part in parts:
        only(part, "text", "inlineData", "functionCall", "functionResponse", "thought", "thoughtSignature", at="parts.")
        match next(name for name in ("functionCall", "functionResponse", "inlineData", "text") if name in part):
            case "functionCall":
                need(not is_user, "calls are the model's")
                call = part["functionCall"]
                seen.calls.append(ToolUse("", call["name"], json.dumps(call["args"])))
            case "functionResponse":
                need(is_user, "results are the user's")
                result = part["functionResponse"]["response"]
                need(isinstance(result, dict), "response")
                seen.results.append(("", next(iter(result.values()))))
            case "inlineData":
                inline = part["inlineData"]
                data = base64.b64decode(inline["data"].replace("-", "+").replace("_", "/"))
                pictures = inline["mimeType"].startswith("image/")
                (seen.images if pictures else seen.documents).append((inline["mimeType"], data))
            case "text" if is_user:
                seen.text = part["text"]
            case "text":
                need(part["text"] or "thoughtSignature" in part, "an empty part")
            case kind:
                raise Wrong(f"part {kind}")


def _parts(reply: Reply) -> Iterator[Json]:
    if reply.thoughts:
        yield {"text": reply.thoughts, "thought": True}
    if reply.text:
        yield {"text": reply.text}
    for number, call in enumerate(reply.calls):
        signed = {} if number else {"thoughtSignature": PROOF}
        yield {"functionCall": {"name": call.name, "args": json.loads(call.arguments)}, **signed}


def _usage(reply: Reply) -> Json:
    usage = {
        "promptTokenCount": INPUT,
        "cachedContentTokenCount": CACHED,
        "candidatesTokenCount": reply.output - reply.reasoning,
        "totalTokenCount": INPUT + reply.output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": INPUT}],
    }
    return usage | ({"thoughtsTokenCount": reply.reasoning} if reply.reasoning else {})


def _answer(parts: list[Json], usage: Json, *, finish: str | None, several: int = 1, logprobs: str = "") -> Json:
    candidates = []
    for index in range(several):
        candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": index}
        if finish:
            candidate["finishReason"] = finish
        if logprobs:
            token = {"token": logprobs, "tokenId": 7, "logProbability": -0.25}
            candidate["logprobsResult"] = {"chosenCandidates": [token], "topCandidates": [{"candidates": [token]}]}
            candidate["avgLogprobs"] = -0.25
        candidates.append(candidate)
    return {"candidates": candidates, "usageMetadata": usage, "modelVersion": "gemini-3.5-flash", "responseId": "aXk"}


def whole(reply: Reply) -> Json:
    logprobs = reply.text if reply.logprobs else ""
    return _answer(
        list(_parts(reply)), _usage(reply), finish=_FINISHES[reply.ended], several=reply.several, logprobs=logprobs
    )


def stream(reply: Reply, received: Received) -> Iterator[bytes]:
    early = {"promptTokenCount": INPUT, "totalTokenCount": INPUT}
    for part in _parts(reply):
        for piece in pieces(part["text"], 9) if "text" in part else [None]:
            told = part if piece is None else {**part, "text": piece}
            yield contents.event(_answer([told], early, finish=None))
    last = [{"text": "", "thoughtSignature": PROOF}] if reply.proof and not reply.calls else [{"text": ""}]
    yield contents.event(_answer(last, _usage(reply), finish=_FINISHES[reply.ended]))


def begun() -> Iterator[bytes]:
    for piece in pieces(FAILING, 9):
        yield contents.event(_answer([{"text": piece}], {"promptTokenCount": INPUT}, finish=None))


def failure(message: str) -> bytes:
    """The event of a failure in the midst of a stream."""
    return contents.event(contents.error(503, "UNAVAILABLE", message))


early = failure  # which is all that comes


def refusal(status: int, message: str) -> Json:
    words = {400: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}
    body = contents.error(status, words[status], message)
    if status == 429:  # it says nothing in its headers
        body["error"]["details"].append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"})
    return body
