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

_KEPT = 256  # answers remembered
_KEPT_SIZE = 64 * 1024  # bytes of a request and its answer, at most, to be remembered


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
        self._made: dict[tuple[str, bytes], tuple[Reply, Behaviour]] = {}

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
        """The answer to this body, with what chance and the command line have to say about it."""
        made = self._made.get((path, body))
        if made is None:
            made = _make(surface, stranger, path, body, self._faults.chunks)
            self._keep((path, body), made)
        reply, behaviour = made
        if self._faults.latency or self._faults.between:
            behaviour = replace(
                behaviour,
                first_byte=behaviour.first_byte + self._faults.latency,
                between=max(behaviour.between, self._faults.between),
            )
        if self._faults.fail_rate and self._dice.random() < self._faults.fail_rate:
            reply = refusal(on_request(self._faults.status))
        elif behaviour.damage is Damage.FLAKY and next(self._flaky) % 2:
            reply = refusal(SERVER_ERROR)
        return reply, behaviour

    def _keep(self, key: tuple[str, bytes], made: tuple[Reply, Behaviour]) -> None:
        """Remember a small answer: the same request always gets it, and load tests repeat themselves."""
        if len(key[1]) + made[0].size <= _KEPT_SIZE:
            if len(self._made) >= _KEPT:
                self._made.clear()
            self._made[key] = made


def _make(surface: Surface, stranger: str, path: str, body: bytes, chunks: int | None) -> tuple[Reply, Behaviour]:
    """The answer that depends on nothing but the request, and how its model behaves. Raises ApiError for bad input."""
    fields = parsed(body)
    model = model_for(fields)
    behaviour = model.behaviour
    if model.kind == stranger and behaviour == Behaviour():  # models that fail are at home everywhere
        raise ApiError(404, f"This model is not supported in the {path.lstrip('/')} endpoint.", param="model")
    if behaviour.error:
        return refusal(REFUSALS[behaviour.error]), behaviour
    return surface(fields, model, behaviour.chunks or chunks), behaviour


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
