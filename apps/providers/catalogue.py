"""The models an installation lists from the start: the sandbox's, and those of catalogue.json, with its sources."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from apps.providers.models import ModelKind, Provider
from apps.providers.sandbox.catalogue import MODELS

_FILE = Path(__file__).with_name("catalogue.json")
# Parts of the names of models that neither chat nor embed.
_NEITHER = (
    "babbage-002",
    "dall-e",
    "davinci-002",
    "image",
    "moderation",
    "realtime",
    "rerank",
    "sora",
    "transcribe",
    "tts",
    "whisper",
)


@dataclass(frozen=True, slots=True)
class Listed:
    """One model of the catalogue."""

    provider: Provider
    name: str
    kind: ModelKind


@cache
def catalogue() -> tuple[Listed, ...]:
    """Every model that ships with this release."""
    return (*_published(), *_sandbox())


def listed_kind(provider: str, name: str) -> ModelKind | None:
    """What the catalogue knows this model to be; None if it does not list it."""
    return next((entry.kind for entry in catalogue() if entry.provider == provider and entry.name == name), None)


def likely_kind(provider: str, name: str) -> ModelKind:
    """What a model probably is, for the operator to correct: providers' own listings do not say."""
    lowered = name.lower()
    if "embed" in lowered:
        return listed_kind(provider, name) or ModelKind.EMBEDDING
    other = any(word in lowered for word in _NEITHER)
    return listed_kind(provider, name) or (ModelKind.OTHER if other else ModelKind.CHAT)


def _published() -> Iterator[Listed]:
    for provider, models in json.loads(_FILE.read_text(encoding="utf-8"))["models"].items():
        for name, kind in models.items():
            yield Listed(Provider(provider), name, ModelKind(kind))


def _sandbox() -> Iterator[Listed]:
    for model in MODELS:
        yield Listed(Provider.SANDBOX, model.name, ModelKind(model.kind))
