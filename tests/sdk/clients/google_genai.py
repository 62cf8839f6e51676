"""Google's official client."""

import json
from typing import Any

from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from tests.sdk.scenes import ABOUT, MOST, PARAMETERS, SYSTEM, TOOL, Ask, Call, Refused, Said


class Report(BaseModel):
    """What scenes.SCHEMA says."""

    city: str
    degrees: int


class Gemini:
    """Of the present major release."""

    dialect, name = "gemini", "google-genai"

    def __init__(self, url: str, token: str) -> None:
        options = types.HttpOptions(base_url=url, timeout=20_000)
        self._client = genai.Client(api_key=token, http_options=options)

    def close(self) -> None:
        self._client.close()

    def ask(self, ask: Ask) -> Said:
        """Raises Refused."""
        begun = ""
        asked: dict[str, Any] = {"model": ask.model, "contents": _contents(ask), "config": _config(ask)}
        try:
            if not ask.stream:
                answer = self._client.models.generate_content(**asked)
                if ask.schema:
                    assert isinstance(answer.parsed, Report)
                return _said([answer])
            chunks = []
            for chunk in self._client.models.generate_content_stream(**asked):
                chunks.append(chunk)
                begun += chunk.text or ""
            return _said(chunks)
        except errors.APIError as exc:
            status = 0 if begun else exc.code
            raise Refused(status, type(exc).__name__, exc.message or "", _retry_after(exc), begun) from exc


def _retry_after(exc: errors.APIError) -> str:
    """Seconds, as RetryInfo tells them: the client reads no headers."""
    error = exc.details.get("error", {}) if isinstance(exc.details, dict) else {}
    found = [each["retryDelay"] for each in error.get("details", ()) if "retryDelay" in each]
    return str(found[0]).removesuffix("s") if found else ""


def _contents(ask: Ask) -> list[types.Content]:
    parts = [types.Part(text=ask.text)]
    if ask.image:
        parts.append(types.Part.from_bytes(data=ask.image, mime_type="image/png"))
    if ask.document:
        parts.append(types.Part.from_bytes(data=ask.document, mime_type="application/pdf"))
    contents = [types.Content(role="user", parts=parts)]
    if ask.before:
        said, results = ask.before
        answers = [
            types.Part(
                function_response=types.FunctionResponse(
                    id=call.id or None, name=call.name, response={"result": result}
                )
            )
            for call, result in zip(said.calls, results, strict=True)
        ]
        contents += [said.turn, types.Content(role="user", parts=answers)]
    return contents


def _config(ask: Ask) -> types.GenerateContentConfig:
    fields: dict[str, Any] = {"system_instruction": SYSTEM, "max_output_tokens": MOST}
    if ask.tool:
        function = types.FunctionDeclaration(name=TOOL, description=ABOUT, parameters_json_schema=dict(PARAMETERS))
        fields["tools"] = [types.Tool(function_declarations=[function])]
    if ask.force:
        calling = types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY, allowed_function_names=[TOOL])
        fields["tool_config"] = types.ToolConfig(function_calling_config=calling)
    if ask.schema:
        fields |= {"response_mime_type": "application/json", "response_schema": Report}
    if ask.think:
        level = types.ThinkingLevel.HIGH
        fields["thinking_config"] = types.ThinkingConfig(thinking_level=level, include_thoughts=True)
    if ask.stop:
        fields["stop_sequences"] = [ask.stop]
    if ask.several:
        fields["candidate_count"] = ask.several
    if ask.logprobs:
        fields |= {"response_logprobs": True, "logprobs": 1}
    return types.GenerateContentConfig(**fields)


def _said(chunks: list[types.GenerateContentResponse]) -> Said:
    parts: list[types.Part] = []
    finish, usage, logprob = "", None, None
    texts: dict[int, str] = {}
    for chunk in chunks:
        usage = chunk.usage_metadata or usage
        for candidate in chunk.candidates or ():
            found = (candidate.content.parts if candidate.content else None) or []
            index = candidate.index or 0
            texts[index] = texts.get(index, "") + "".join(part.text or "" for part in found if not part.thought)
            if index:
                continue
            parts += found
            finish = candidate.finish_reason.value if candidate.finish_reason else finish
            if candidate.logprobs_result and candidate.logprobs_result.chosen_candidates:
                logprob = candidate.logprobs_result.chosen_candidates[0].log_probability
    assert usage is not None
    inputs, outputs = usage.prompt_token_count or 0, usage.candidates_token_count or 0
    outputs += usage.thoughts_token_count or 0
    assert usage.total_token_count == inputs + outputs
    calls = [part.function_call for part in parts if part.function_call]
    return Said(
        text="|".join(texts.values()),
        calls=tuple(Call(call.id or "", call.name or "", json.loads(json.dumps(call.args))) for call in calls),
        thoughts="".join(part.text or "" for part in parts if part.thought),
        finish=finish,
        tokens=(inputs, outputs),
        logprob=logprob,
        # Streams end in an empty part, which the client's own chats do not give back either.
        turn=types.Content(role="model", parts=[part for part in parts if part.text != "" or part.thought_signature]),
    )
