"""OpenAI's official client, calling Responses; and Azure's."""

import base64
import json
from typing import Any

import openai

from tests.sdk.clients.openai_chat import report
from tests.sdk.clients.openai_errors import refused
from tests.sdk.scenes import ABOUT, FORMAT, MOST, PARAMETERS, SCHEMA, SYSTEM, TOOL, Ask, Call, Refused, Said

AZURES_VERSION = "2025-04-01-preview"


class Responses:
    """`with_azure`: as AzureOpenAI, with a dated version."""

    dialect = "responses"

    def __init__(self, url: str, token: str, *, with_azure: bool = False) -> None:
        self.name = "AzureOpenAI, Responses" if with_azure else "openai, Responses"
        options: Any = {"api_key": token, "max_retries": 0, "timeout": 20}
        self._client: openai.OpenAI = (
            openai.AzureOpenAI(azure_endpoint=url, api_version=AZURES_VERSION, **options)
            if with_azure
            else openai.OpenAI(base_url=f"{url}/v1", **options)
        )

    def close(self) -> None:
        self._client.close()

    def ask(self, ask: Ask) -> Said:
        """Raises Refused."""
        fields = request(ask)
        begun = ""
        responses = self._client.responses
        try:
            if ask.stream:
                with responses.stream(**fields) as stream:
                    for number, event in enumerate(stream):
                        assert event.sequence_number == number or event.type in ("error", "response.failed")
                        begun += event.delta if event.type == "response.output_text.delta" else ""
                        if event.type == "error":
                            raise Refused(0, "error", event.message, "", begun)
                        if event.type == "response.failed":
                            error = event.response.error
                            raise Refused(0, "response.failed", error.message if error else "", "", begun)
                        if event.type == "response.incomplete":  # the helper knows but those that are completed
                            return _said(event.response)
                    return _said(stream.get_final_response())
            if ask.schema:
                del fields["text"]
                parsed = responses.parse(text_format=report, **fields)
                assert parsed.output_parsed is not None
                assert parsed.output_parsed.model_dump() == json.loads(parsed.output_text)
                return _said(parsed)
            return _said(responses.create(**fields))
        except openai.APIError as exc:
            raise refused(exc, begun) from exc


def request(ask: Ask) -> dict[str, Any]:
    """What any client of Responses is given."""
    parts: list[Any] = [{"type": "input_text", "text": ask.text}]
    if ask.image:
        url = f"data:image/png;base64,{base64.b64encode(ask.image).decode()}"
        parts.append({"type": "input_image", "image_url": url, "detail": "auto"})
    if ask.document:
        url = f"data:application/pdf;base64,{base64.b64encode(ask.document).decode()}"
        parts.append({"type": "input_file", "filename": "a.pdf", "file_data": url})
    items: list[Any] = [{"role": "user", "content": ask.text if len(parts) == 1 else parts}]
    if ask.before:
        said, results = ask.before
        items += said.turn
        for call, result in zip(said.calls, results, strict=True):
            items.append({"type": "function_call_output", "call_id": call.id, "output": result})
    fields: dict[str, Any] = {"model": ask.model, "instructions": SYSTEM, "input": items, "max_output_tokens": MOST}
    fields["store"] = False
    if ask.tool:
        function = {"name": TOOL, "description": ABOUT, "parameters": dict(PARAMETERS), "strict": True}
        fields["tools"] = [{"type": "function", **function}]
    if ask.force:
        fields["tool_choice"] = {"type": "function", "name": TOOL}
    if ask.schema:
        fields["text"] = {"format": {"type": "json_schema", "name": FORMAT, "schema": dict(SCHEMA), "strict": True}}
    if ask.think:
        fields |= {"reasoning": {"effort": "high", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
    if ask.logprobs:
        fields |= {"include": ["message.output_text.logprobs"], "top_logprobs": 1}
    return fields


def _said(answer: Any) -> Said:
    texts, calls, thoughts, logprob = "", [], "", None
    for item in answer.output:
        match item.type:
            case "message":
                texts += "".join(part.text if part.type == "output_text" else part.refusal for part in item.content)
                found = getattr(item.content[0], "logprobs", None)
                logprob = found[0].logprob if found else None
            case "function_call":
                calls.append(Call(item.call_id, item.name, json.loads(item.arguments)))
            case "reasoning":
                thoughts += "".join(part.text for part in item.summary)
            case kind:
                raise AssertionError(kind)
    usage = answer.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    return Said(
        text=texts,
        calls=tuple(calls),
        thoughts=thoughts,
        finish=f"incomplete: {answer.incomplete_details.reason}" if answer.incomplete_details else answer.status,
        tokens=(usage.input_tokens, usage.output_tokens),
        logprob=logprob,
        turn=[item.model_dump(exclude_none=True, exclude={"parsed_arguments": True}) for item in answer.output],
    )
