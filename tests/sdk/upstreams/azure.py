"""Azure OpenAI's chat, under a dated version."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.sdk.replies import Forbidden, Json, Reply, Seen, need
from tests.sdk.upstreams.chat import FIELDS, Chat
from tests.support.bodies import event
from tests.support.provider import Received

_SAFE: Mapping[str, Json] = {
    name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")
}


class Azure(Chat):
    """Azure OpenAI's dated API: the deployment is in the path, and every answer tells what its filters have found."""

    PATH = STREAM_PATH = "/openai/deployments/acme-gpt/chat/completions?api-version=2025-04-01-preview"
    TELLS = False
    COUNTS = True
    FIELDS = FIELDS | {
        "user",
        "seed",
        "top_p",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "store",
        "metadata",
    }
    MODEL = "gpt-5.2-2025-12-11"

    def read(self, received: Received) -> Seen:
        """The request. Raises Wrong."""
        body = received.json
        if "max_tokens" in body:
            raise Forbidden("max_tokens", "is not supported with this model. Use 'max_completion_tokens' instead.")
        seen = super().read(received)
        need(not (seen.thinks and (seen.logprobs or "temperature" in body)), "not while it thinks")
        return seen

    def choice(self, reply: Reply, index: int) -> Json:
        """One of the answers, whole."""
        found = {**_SAFE, **({"violence": {"filtered": True, "severity": "high"}} if reply.ended == "filtered" else {})}
        return {**super().choice(reply, index), "content_filter_results": found}

    def whole(self, reply: Reply) -> Json:
        """The answer."""
        return {**super().whole(reply), "prompt_filter_results": [_PROMPT]}

    def chunk(self, delta: Json, finish: str | None = None, **more: Any) -> bytes:
        """An event of a stream."""
        found = _SAFE if "content" in delta else {}
        choice = {
            "index": 0,
            "delta": delta,
            "logprobs": None,
            "finish_reason": finish,
            "content_filter_results": found,
        }
        return event({**self.envelope("chat.completion.chunk"), "choices": [choice], "obfuscation": "k3Jd", **more})

    def stream(self, reply: Reply, received: Received) -> Iterator[bytes]:
        """The answer, piece by piece: first what was found in the prompt, in a chunk that has no choices."""
        yield _FIRST
        yield from super().stream(reply, received)

    def begun(self) -> Iterator[bytes]:
        """A stream that has no end."""
        yield _FIRST
        yield from super().begun()


_PROMPT: Json = {
    "prompt_index": 0,
    "content_filter_results": {**_SAFE, "jailbreak": {"filtered": False, "detected": False}},
}
_FIRST = event({"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": [_PROMPT]})
