"""Which request is answered by what, before HTTP framing and after it has been read."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from types import MappingProxyType
from urllib.parse import unquote

from apps.providers.sandbox import chat, embeddings, responses
from apps.providers.sandbox.ask import model_for
from apps.providers.sandbox.catalogue import MODELS, Behaviour, Damage, SandboxModel, find
from apps.providers.sandbox.errors import REFUSALS, SERVER_ERROR, ApiError, on_request, unknown_model
from apps.providers.sandbox.faults import Step, steps
from apps.providers.sandbox.fields import Fields, parsed
from apps.providers.sandbox.reply import CREATED, Reply, refusal, whole

type Surface = Callable[[Fields, SandboxModel, int | None], Reply]

# Path → what answers it, and the kind of model that is not at home there.
_SURFACES: MappingProxyType[str, tuple[Surface, str]] = MappingProxyType(
    {
        "/v1/chat/completions": (chat.reply, "embedding"),
        "/v1/responses": (responses.reply, "embedding"),
        "/v1/embeddings": (embeddings.reply, "chat"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What the command line wants of every model, besides what the models do by themselves."""

    fail_rate: float = 0.0  # of answers, 0 to 1
    status: int = 500  # of those failures
    latency: float = 0.0  # seconds before the first byte
    between: float = 0.0  # seconds between two chunks of a stream
    chunks: int | None = None  # tokens of every text
    seed: int = 0  # two runs with the same seed fail at the same requests


class Sandbox:
    """Answers requests. Not thread-safe: it counts, for the faults that depend on it."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._dice = random.Random(faults.seed)  # noqa: S311  # decides which requests fail, no secret
        self._flaky = count(1)

    def steps(self, method: str, target: str, body: bytes, *, keep_alive: bool) -> Iterator[Step]:
        """What to do on the connection about this request."""
        behaviour = Behaviour()
        try:
            reply, behaviour = self._reply(method, target.partition("?")[0], body)
        except ApiError as error:
            reply = refusal(error)
        return steps(reply, behaviour, keep_alive=keep_alive, bare=method == "HEAD")

    def refuse(self, error: ApiError) -> Iterator[Step]:
        """What to do on the connection about a request that was not read to its end: answer and close."""
        return steps(refusal(error), Behaviour(), keep_alive=False)

    def _reply(self, method: str, path: str, body: bytes) -> tuple[Reply, Behaviour]:
        path = path.rstrip("/")
        if surface := _SURFACES.get(path):
            _only(method, ("POST",), path)
            return self._answer(*surface, path, body)
        if path == "/v1/models" or path.startswith("/v1/models/"):
            _only(method, ("GET", "HEAD"), path)
            return whole(_models(unquote(path.removeprefix("/v1/models").lstrip("/")))), Behaviour()
        if path == "/healthz":
            _only(method, ("GET", "HEAD"), path)
            return whole({"status": "ok"}), Behaviour()
        raise ApiError(404, f"Invalid URL ({method} {path or '/'})")

    def _answer(self, surface: Surface, stranger: str, path: str, body: bytes) -> tuple[Reply, Behaviour]:
        fields, faults = parsed(body), self._faults
        model = model_for(fields)
        behaviour = replace(
            model.behaviour,
            first_byte=model.behaviour.first_byte + faults.latency,
            between=max(model.behaviour.between, faults.between),
        )
        if faults.fail_rate and self._dice.random() < faults.fail_rate:
            return refusal(on_request(faults.status)), behaviour
        if model.kind == stranger and model.behaviour == Behaviour():  # models that fail are at home everywhere
            raise ApiError(404, f"This model is not supported in the {path.lstrip('/')} endpoint.", param="model")
        if model.behaviour.error:
            return refusal(REFUSALS[model.behaviour.error]), behaviour
        if behaviour.damage is Damage.FLAKY and next(self._flaky) % 2:
            return refusal(SERVER_ERROR), behaviour
        return surface(fields, model, model.behaviour.chunks or faults.chunks), behaviour


def _only(method: str, allowed: tuple[str, ...], path: str) -> None:
    if method not in allowed:
        message = f"Not allowed to {method} on {path}. (HINT: Perhaps you meant to use a different HTTP method?)"
        raise ApiError(405, message, code="method_not_supported", headers={"allow": ", ".join(allowed)})


def _models(name: str) -> object:
    """One model's entry, or with an empty name the list of all."""
    if not name:
        return {"object": "list", "data": [_entry(model) for model in MODELS]}
    model = find(name)
    if model is None:
        raise unknown_model(name)
    return _entry(model)


def _entry(model: SandboxModel) -> dict[str, object]:
    return {"id": model.name, "object": "model", "created": CREATED, "owned_by": "sandbox"}
