"""What a client asks, whichever surface it came by: enough to decide on an answer, and no more."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from apps.providers.sandbox.catalogue import SandboxModel, find
from apps.providers.sandbox.errors import ApiError, missing, unknown_model, wrong_type, wrong_value
from apps.providers.sandbox.fields import Fields

TOKEN = 4  # characters: the sandbox's whole tokenizer
MESSAGE_TOKENS = 4  # what each message costs besides its text
MEDIA_TOKENS = 85  # an image, a sound or a file
CACHED_FROM = 1024  # prompt tokens from which on half of them count as read from the provider's cache
CACHE_STEP = 128  # cached tokens come in multiples of this
REASONING_TOKENS = {"none": 0, "minimal": 8, "low": 16, "medium": 32, "high": 64, "xhigh": 128, "max": 256}
MOST_TOKENS = 1_000_000  # that a request may allow for its answer


def tokens(text: str) -> int:
    """How many tokens a text is: four characters each, the last may be shorter."""
    return -(-len(text) // TOKEN)


@dataclass(frozen=True, slots=True)
class Tool:
    """A function on offer."""

    name: str
    parameters: Any  # JSON schema of its arguments


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request for an answer."""

    model: SandboxModel
    seed: bytes  # the same question has the same seed, streamed or not and whatever the model's name
    prompt_tokens: int
    user_text: str  # of the last message by the user
    results: tuple[str, ...] = ()  # of the tools that the last turn called
    tools: tuple[Tool, ...] = ()
    choice: str = "auto"  # auto, none, required, or `=name` for one tool
    parallel: bool = True
    wants_json: bool = False
    schema: Any = None  # that the answer must satisfy; None for any object
    limit: int | None = None  # tokens
    stop: tuple[str, ...] = ()
    reasoning_tokens: int = 0

    @property
    def cached_tokens(self) -> int:
        """How much of the prompt the provider's cache held: half of a long one."""
        return self.prompt_tokens // 2 // CACHE_STEP * CACHE_STEP if self.prompt_tokens >= CACHED_FROM else 0


def model_for(fields: Fields) -> SandboxModel:
    """The model asked for. Raises ApiError 400 if none is named and 404 if there is none of that name."""
    if fields.json.get("model") in (None, ""):
        raise ApiError(400, "you must provide a model parameter", param="model", code="missing_required_parameter")
    name = fields.required_text("model")
    model = find(name)
    if model is None:
        raise unknown_model(name)
    return model


def seed_of(*parts: object) -> bytes:
    """A digest of what was asked; `parts` are JSON values."""
    return hashlib.blake2b(orjson.dumps(parts), digest_size=16).digest()


def content_of(fields: Fields, name: str = "content", *, required: bool = True) -> tuple[str, int]:
    """A message's text, and the tokens of what in it is not text. Accepts both surfaces' content parts."""
    value = fields.json.get(name)
    if value is None:
        if required:
            raise missing(fields.named(name))
        return "", 0
    if isinstance(value, str):
        return value, 0
    if not isinstance(value, list):
        raise wrong_type(fields.named(name), "a string or an array of content parts", value)
    texts, media = [], 0
    for part in fields.objects(name):
        kind = part.required_text("type")
        if kind in ("text", "input_text", "output_text"):
            texts.append(part.text("text") or "")
        elif kind == "refusal":
            texts.append(part.text("refusal") or "")
        elif kind in _MEDIA:
            media += MEDIA_TOKENS
        else:
            raise wrong_value(
                part.named("type"), kind, "Supported values are: 'text' and kinds of images, sounds, files."
            )
    return "\n".join(texts), media


def tool_of(fields: Fields) -> Tool:
    """A function from its definition (chat keeps it below `function`, Responses does not)."""
    parameters = fields.object("parameters")
    return Tool(fields.required_text("name"), parameters.json if parameters else {"type": "object", "properties": {}})


def choice_of(fields: Fields, tools: Iterable[Tool]) -> tuple[str, tuple[Tool, ...]]:
    """`tool_choice` as Ask.choice, and the tools it leaves on offer."""
    tools = tuple(tools)
    value = fields.json.get("tool_choice")
    if value is None:
        return "auto", tools
    if isinstance(value, str):
        choice = fields.choice("tool_choice", ("none", "auto", "required")) or "auto"
        if choice == "required" and not tools:
            raise ApiError(400, "'tool_choice' is only allowed when 'tools' are specified.", param="tool_choice")
        return choice, tools
    chosen = fields.object("tool_choice")
    assert chosen is not None  # noqa: S101  # absent was handled above
    if chosen.text("type") == "allowed_tools":
        allowed = chosen.object("allowed_tools") or chosen
        names = {(each.object("function") or each).text("name") for each in allowed.objects("tools")}
        return allowed.choice("mode", ("auto", "required")) or "auto", tuple(
            tool for tool in tools if tool.name in names
        )
    name = (chosen.object("function") or chosen).required_text("name")
    if name not in {tool.name for tool in tools}:
        raise ApiError(400, f"Tool choice '{name}' not found in 'tools' parameter.", param="tool_choice")
    return f"={name}", tools


def reasoning_of(effort: str | None) -> int:
    """The tokens that the sandbox pretends to have reasoned for at that effort."""
    return REASONING_TOKENS.get(effort or "none", 0)


_PARTS = "Supported values are: 'text' and the types of images, sounds and files."
_MEDIA = frozenset({"image_url", "input_image", "input_audio", "file", "input_file"})
