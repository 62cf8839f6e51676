"""OpenAI's official client, calling chat completions; and Azure's, which is the same package."""

import base64
import json
from typing import Any

import openai
from pydantic import BaseModel

from tests.sdk.clients.openai_errors import refused
from tests.sdk.scenes import ABOUT, FORMAT, MOST, PARAMETERS, SCHEMA, SYSTEM, TOOL, Ask, Call, Said

AZURES_VERSION = "2024-10-21"


class report(BaseModel):  # noqa: N801  # the client names the format after the class
    """What scenes.SCHEMA says."""

    city: str
    degrees: int


class Chat:
    """`with_azure`: as AzureOpenAI, with a dated version."""

    dialect = "chat"

    def __init__(self, url: str, token: str, *, with_azure: bool = False) -> None:
        self.name = "AzureOpenAI, chat" if with_azure else "openai, chat"
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
        completions = self._client.chat.completions
        try:
            if ask.stream:
                fields["stream_options"] = {"include_usage": True}
                with completions.stream(**fields) as stream:
                    for event in stream:
                        begun += event.delta if event.type == "content.delta" else ""
                    return _said(stream.get_final_completion())
            if ask.schema:
                del fields["response_format"]
                parsed = completions.parse(response_format=report, **fields)
                found = parsed.choices[0].message.parsed
                assert found is not None
                assert found.model_dump() == json.loads(parsed.choices[0].message.content or "")
                return _said(parsed)
            return _said(completions.create(**fields))
        except (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError) as exc:
            # How the helper for streams tells that an answer has ended so.
            finish = "length" if isinstance(exc, openai.LengthFinishReasonError) else "content_filter"
            return Said(text=begun, calls=(), thoughts="", finish=finish, tokens=(0, 0), turn=None)
        except openai.APIError as exc:
            raise refused(exc, begun) from exc


def request(ask: Ask) -> dict[str, Any]:
    """What any client of chat is given."""
    parts: list[Any] = [{"type": "text", "text": ask.text}]
    if ask.image:
        url = f"data:image/png;base64,{base64.b64encode(ask.image).decode()}"
        parts.append({"type": "image_url", "image_url": {"url": url}})
    if ask.document:
        url = f"data:application/pdf;base64,{base64.b64encode(ask.document).decode()}"
        parts.append({"type": "file", "file": {"filename": "a.pdf", "file_data": url}})
    messages: list[Any] = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": ask.text if len(parts) == 1 else parts},
    ]
    if ask.before:
        said, results = ask.before
        messages.append(said.turn)
        for call, result in zip(said.calls, results, strict=True):
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    fields: dict[str, Any] = {"model": ask.model, "messages": messages, "max_completion_tokens": MOST}
    if ask.tool:
        function = {"name": TOOL, "description": ABOUT, "parameters": dict(PARAMETERS)}
        fields["tools"] = [{"type": "function", "function": function}]
    if ask.force:
        fields["tool_choice"] = {"type": "function", "function": {"name": TOOL}}
    if ask.schema:
        schema = {"name": FORMAT, "schema": dict(SCHEMA), "strict": True}
        fields["response_format"] = {"type": "json_schema", "json_schema": schema}
    if ask.think:
        fields["reasoning_effort"] = "high"
    if ask.stop:
        fields["stop"] = [ask.stop]
    if ask.several:
        fields["n"] = ask.several
    if ask.logprobs:
        fields |= {"logprobs": True, "top_logprobs": 1}
    return fields


def _said(answer: Any) -> Said:
    choice, usage = answer.choices[0], answer.usage
    message = choice.message
    assert answer.object == "chat.completion"
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    extra = message.model_extra or {}
    return Said(
        text="|".join(each.message.content or "" for each in answer.choices),
        calls=tuple(
            Call(call.id, call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or ()
        ),
        thoughts=extra.get("reasoning_content") or extra.get("reasoning") or "",
        finish=choice.finish_reason,
        tokens=(usage.prompt_tokens, usage.completion_tokens),
        logprob=choice.logprobs.content[0].logprob if choice.logprobs and choice.logprobs.content else None,
        turn=message.model_dump(exclude_none=True, exclude={"parsed": True}),
    )
