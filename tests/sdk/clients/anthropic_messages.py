"""Anthropic's official client."""

import base64
import json
from typing import Any

import anthropic
from pydantic import BaseModel

from tests.sdk.scenes import ABOUT, MOST, PARAMETERS, SCHEMA, SYSTEM, TOOL, Ask, Call, Refused, Said


class Report(BaseModel):
    """What scenes.SCHEMA says."""

    city: str
    degrees: int


class Messages:
    """Of the present major release."""

    dialect, name = "messages", "anthropic"

    def __init__(self, url: str, token: str) -> None:
        self._client = anthropic.Anthropic(base_url=url, api_key=token, max_retries=0, timeout=20)

    def close(self) -> None:
        self._client.close()

    def ask(self, ask: Ask) -> Said:
        """Raises Refused."""
        fields = request(ask)
        begun = ""
        messages = self._client.messages
        try:
            if ask.stream:
                with messages.stream(**fields) as stream:
                    for event in stream:
                        begun += event.text if event.type == "text" else ""
                    return _said(stream.get_final_message())
            if ask.schema:
                del fields["output_config"]
                parsed = messages.parse(output_format=Report, **fields)
                assert parsed.parsed_output is not None
                return _said(parsed)
            return _said(messages.create(**fields))
        except anthropic.APIStatusError as exc:
            after = exc.response.headers.get("retry-after", "")
            # The status of an error in the midst of a stream is the stream's, 200.
            status = 0 if begun else exc.status_code
            raise Refused(status, type(exc).__name__, exc.message, after, begun, _param(exc)) from exc


def _param(exc: anthropic.APIStatusError) -> str:
    error = exc.body.get("error") if isinstance(exc.body, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    return str(details.get("param") or "") if isinstance(details, dict) else ""


def request(ask: Ask) -> dict[str, Any]:
    """What any client of Messages is given."""
    parts: list[Any] = []
    if ask.image:
        source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(ask.image).decode()}
        parts.append({"type": "image", "source": source})
    if ask.document:
        source = {"type": "base64", "media_type": "application/pdf", "data": base64.b64encode(ask.document).decode()}
        parts.append({"type": "document", "source": source})
    parts.append({"type": "text", "text": ask.text})
    turns: list[Any] = [{"role": "user", "content": ask.text if len(parts) == 1 else parts}]
    if ask.before:
        said, results = ask.before
        turns.append({"role": "assistant", "content": said.turn})
        content = [
            {"type": "tool_result", "tool_use_id": call.id, "content": result}
            for call, result in zip(said.calls, results, strict=True)
        ]
        turns.append({"role": "user", "content": content})
    fields: dict[str, Any] = {"model": ask.model, "max_tokens": MOST, "system": SYSTEM, "messages": turns}
    output: dict[str, Any] = {}
    if ask.tool:
        fields["tools"] = [{"name": TOOL, "description": ABOUT, "input_schema": dict(PARAMETERS)}]
    if ask.force:
        fields["tool_choice"] = {"type": "tool", "name": TOOL}
    if ask.schema:
        output["format"] = {"type": "json_schema", "schema": dict(SCHEMA)}
    if ask.think:
        fields["thinking"] = {"type": "adaptive", "display": "summarized"}
        output["effort"] = "high"
    if ask.stop:
        fields["stop_sequences"] = [ask.stop]
    return fields | ({"output_config": output} if output else {})


def _said(answer: Any) -> Said:
    text, calls, thoughts = "", [], ""
    for block in answer.content:
        match block.type:
            case "text":
                text += block.text
            case "tool_use":
                calls.append(Call(block.id, block.name, block.input))
            case "thinking":
                thoughts += block.thinking
            case "redacted_thinking":  # the proof of thoughts that were told before it
                assert block.data
            case kind:
                raise AssertionError(kind)
    usage = answer.usage
    inputs = usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    turn = [block.model_dump(exclude_none=True, exclude={"parsed_output": True}) for block in answer.content]
    return Said(
        text=text,
        calls=tuple(calls),
        thoughts=thoughts,
        finish=answer.stop_reason,
        tokens=(inputs, usage.output_tokens),
        turn=json.loads(json.dumps(turn)),
    )
