"""The file of a batch: each line is a call, and is held against the rules that calls are held against. Reads it as it lies on disk.

A batch that the provider makes later could otherwise ask for what the token may not.
"""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import msgspec
import orjson

from apps.core import endpoints
from apps.core.errors import BadRequest, GatewayError, InvalidJson, InvalidValue, MissingParameter
from apps.gateway.governance.estimates import estimated_input
from apps.gateway.json_depth import is_deeper_than
from apps.gateway.objects.references import Reference, references
from apps.gateway.uploads.disk import PIECE, UploadDisk, UploadFile
from apps.gateway.uploads.form import Form, Part
from apps.policies.effective import EffectivePolicy
from apps.providers.dialects import openai
from apps.providers.dialects.bodies import each_once, rewrite
from apps.providers.dialects.heads import Head

# Where a line may lead, with and without the version that Azure's dated API leaves out.
ENDPOINTS = {
    prefix + path: name
    for prefix in ("/v1", "")
    for path, name in (
        ("/chat/completions", endpoints.CHAT_COMPLETIONS),
        ("/responses", endpoints.RESPONSES),
        ("/embeddings", endpoints.EMBEDDINGS),
        ("/completions", endpoints.COMPLETIONS),
        ("/moderations", endpoints.MODERATIONS),
    )
}
_LINES_MOST = 100_000
_REFERENCES_MOST = 10_000
_LONG = 128 * 1024  # bytes of a line that is looked at in a thread
_DECIDING = re.compile(rb'"(?:body|url|method|custom_id)"')


class _Line(msgspec.Struct):
    url: str
    body: msgspec.Raw
    method: str = "POST"


_decode = msgspec.json.Decoder(_Line).decode


@dataclass(slots=True)
class BatchInput:
    """What a file asks for."""

    model: str = ""
    endpoint: str = ""
    lines: int = 0
    is_ambiguous: bool = False  # some line says something twice
    references: list[Reference] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one line may be. Bytes, depth, and the caps of a policy."""

    line: int
    depth: int
    policy: EffectivePolicy


async def read_batch(form: Form, part: Part, disk: UploadDisk, bounds: Bounds) -> BatchInput:
    """What the file asks for, all of it. Raises BadRequest naming the line."""
    found = BatchInput()
    async for line in _lines(form, part, bounds.line):
        found.lines += 1
        if found.lines > _LINES_MOST:
            raise InvalidValue(f"A batch has at most {_LINES_MOST} lines.", param="file")
        try:
            if len(line) > _LONG:
                await disk.run(lambda: _take(found, line, bounds))  # noqa: B023 - awaited before the next turn
            else:
                _take(found, line, bounds)
        except GatewayError as error:
            where = f" ('{error.param}')" if error.param else ""
            raise InvalidValue(f"Line {found.lines} of the batch{where}: {error.message}", param="file") from error
    if not found.lines:
        raise InvalidValue("The batch has no lines.", param="file")
    return found


def _take(found: BatchInput, line: bytes, bounds: Bounds) -> None:
    try:
        asked = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidJson(f"not a JSON object with url and body ({exc}).") from exc
    endpoint = ENDPOINTS.get(asked.url)
    if endpoint is None or asked.method != "POST":
        raise InvalidValue(f"'{asked.method} {asked.url[:100]}' cannot be asked in a batch.")
    body = bytes(asked.body)
    head = openai.read_head(body, endpoint)
    if is_deeper_than(body, bounds.depth):
        raise InvalidJson(f"it is nested more than {bounds.depth} levels deep (MAX_JSON_DEPTH).")
    if not head.model:
        raise MissingParameter("Missing required parameter: 'model'.", param="model")
    if head.stream or head.background:
        raise InvalidValue("no stream, and nothing in the background, can be asked for in a batch.")
    _cap(head, body, endpoint, bounds.policy)
    if (head.model, endpoint) != (found.model or head.model, found.endpoint or endpoint):
        raise InvalidValue(
            f"all lines of a batch must ask for one model at one endpoint, as the first: '{found.model}'."
        )
    found.model, found.endpoint = head.model, endpoint
    found.is_ambiguous = found.is_ambiguous or _once(line) is not line or openai.unambiguous(body) is not body
    found.references += references(endpoint, head, body)
    if len(found.references) > _REFERENCES_MOST:
        raise InvalidValue("the batch refers to too many files.")


def _cap(head: Head, body: bytes, endpoint: str, policy: EffectivePolicy) -> None:
    """A file is not changed for a policy's caps: it has to keep to them. Raises InvalidValue."""
    most = policy.max_input_tokens
    if most is not None and (about := estimated_input(body)) > most:
        raise InvalidValue(
            f"it has about {about} input tokens, and {policy.sources['max_input_tokens'].describe()} allows {most}."
        )
    cap = policy.max_output_tokens
    if cap is None or endpoint in endpoints.OUTPUTLESS:
        return
    asked = head.output_cap(endpoint)
    if asked is None or asked > cap:
        raise InvalidValue(
            f"it must ask for at most {cap} output tokens, as {policy.sources['max_output_tokens'].describe()} says."
        )


async def rewritten(form: Form, part: Part, disk: UploadDisk, model: str, longest: int) -> UploadFile:
    """The same lines asking for the model by another name, each thing said once. To be closed by the caller."""
    out = UploadFile(disk)
    change: Callable[[bytes], bytes] = lambda line: _renamed(line, model)  # noqa: E731 - for a thread and for us
    try:
        async for line in _lines(form, part, longest):
            changed = await disk.run(lambda: change(line)) if len(line) > _LONG else change(line)  # noqa: B023 - as above
            out.append(changed + b"\n")
            await out.flush()
    except BaseException:
        out.close()
        raise
    return out


def _once(line: bytes) -> bytes:
    return each_once(line, _DECIDING)


def _renamed(line: bytes, model: str) -> bytes:
    body = openai.unambiguous(bytes(_decode(line).body))
    return rewrite(line, {"body": rewrite(body, {"model": orjson.dumps(model)})})


async def _lines(form: Form, part: Part, longest: int) -> AsyncIterator[bytes]:
    """The lines that are not empty. Raises BadRequest for one that is too long."""
    pending = bytearray()
    at = 0
    while at < part.size:
        piece = await form.content(part, at, PIECE)
        at += len(piece)
        pending += piece
        if len(pending) > longest + PIECE:
            raise BadRequest(f"A line of the batch is longer than {longest} bytes (MAX_BODY_BYTES).", param="file")
        if b"\n" not in piece:
            continue
        *lines, rest = bytes(pending).split(b"\n")
        pending = bytearray(rest)
        for line in lines:
            if line.strip():
                yield line
    if pending.strip():
        yield bytes(pending)
