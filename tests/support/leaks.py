"""No answer holds a secret: whatever Django answers in this process, to whichever test, is looked through.

What is secret is learnt from what is saved: every `BinaryField` (digests and sealed values are the only ones), the plaintext of
what is sealed, password hashes, second factors, and sessions' keys. What is made to be shown once (tokens, keys, signing secrets,
links) may be in the answer to the request that made it, in the same answer given again (`Idempotency-Replayed`), and where the
request itself brought it; a redirect may lead back to a link that was followed before. Everything else fails the test that asked.
"""

import base64
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import BinaryField, Model
from django.db.models.signals import post_save
from django.http import FileResponse, HttpRequest
from django.utils.decorators import sync_and_async_middleware

from apps.core.sealing import SealingError

MIDDLEWARE = "tests.support.leaks.looked_through"
_SHORTEST = 12  # a plaintext that is shorter may be a word that pages have anyway
_PIECE = 16  # characters of a digest, however it is written: nothing else has the same
_RUN = re.compile(rb"[A-Za-z0-9+/=_-]{%d,}" % _PIECE)
_SHOWN_ONCE = re.compile(rb"tg_(?:live|admin|scim)_[0-9A-Za-z]{49}")
_LINKS = re.compile(rb"/(sign-in|invitations)/([A-Za-z0-9_.-]{20,})/")
_TEXTUAL = ("text/", "application/json", "application/scim+json", "application/x-ndjson", "application/vnd.oai")


@dataclass(frozen=True, slots=True)
class Secret:
    """`made_in`: the request that saved it, if one did. `shown_once`: that request may be answered with it."""

    what: str
    made_in: object | None
    shown_once: bool = False


@dataclass
class Watch:
    """What is known to be secret in one test, and which answers held something of it."""

    pieces: dict[bytes, Secret] = field(default_factory=dict)  # of digests and sealed values, as they may be written
    raw: dict[bytes, Secret] = field(default_factory=dict)  # the same as Python writes bytes
    plain: dict[bytes, Secret] = field(default_factory=dict)
    digests: dict[bytes, Secret] = field(default_factory=dict)  # of what is shown once, by SHA-256
    brought: set[bytes] = field(
        default_factory=set
    )  # links that requests named, so that browsers may be led back to them
    found: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """Nothing is known, and nothing was found."""
        for each in (self.pieces, self.raw, self.plain, self.digests, self.brought, self.found):
            each.clear()

    def check(self) -> None:
        """Raises AssertionError if an answer held a secret."""
        found, self.found[:] = list(self.found), []
        assert not found, "\n".join(found)

    # --- What is secret ---

    def note(self, row: Model) -> None:
        """Learn the secrets of a row that was saved."""
        made_in, name = _request.get(), type(row).__name__
        for column in row._meta.concrete_fields:
            value = row.__dict__.get(column.attname)
            if isinstance(column, BinaryField) and value is not None:
                self._note_bytes(bytes(value), Secret(f"{name}.{column.name}", made_in))
        if "sealed_secret" in row.__dict__:
            self._note_sealed(row, made_in)
        if name == "User" and (password := row.__dict__.get("password")):
            self._note_text(password.rpartition("$")[2], Secret("User.password", made_in))
        if name == "Authenticator":
            self._note_factor(row, made_in)
        if name in {"Session", "UserSession"}:
            self._note_text(row.__dict__.get("session_key", ""), Secret(f"{name}.session_key", made_in))

    def _note_factor(self, row: Any, made_in: object | None) -> None:
        from apps.orgs.people.adapter import SecondFactorAdapter

        for word in ("secret", "seed"):
            sealed = row.data.get(word, "")
            self._note_text(sealed, Secret(f"Authenticator.{word}", made_in))
            with suppress(ValidationError):  # of a test that seals with another key
                opened = SecondFactorAdapter().decrypt(sealed)
                self._note_text(opened, Secret(f"Authenticator.{word} in the clear", made_in))

    def _note_sealed(self, row: Any, made_in: object | None) -> None:
        sealed = row.sealed_secret
        if sealed is None:
            return
        name = type(row).__name__
        with suppress(SealingError):  # of a test that seals with another key
            plaintext = settings.SEALING_KEYS.open(bytes(sealed), row.secret_place())
            self._note_text(plaintext, Secret(f"{name}'s secret in the clear", made_in, shown_once=name == "Webhook"))

    def _note_bytes(self, value: bytes, secret: Secret) -> None:
        if len(value) < _PIECE:
            return
        self.digests.setdefault(value, secret)  # whichever request saves the row again has not made it
        written = value.hex().encode()
        encoded = base64.b64encode(value), base64.urlsafe_b64encode(value)
        for text in (written, written.upper(), *encoded):
            self.pieces.setdefault(text[:_PIECE], secret)
        self.raw.setdefault(repr(value)[2:-1].encode()[:_PIECE], secret)

    def _note_text(self, text: str, secret: Secret) -> None:
        if len(text) >= _SHORTEST:
            self.plain.setdefault(text.encode(), secret)

    # --- What answers hold ---

    def look(
        self, where: str, text: bytes, request: HttpRequest, *, replayed: bool = False, leading: bool = False
    ) -> None:
        """Note what of all that is in an answer, or in a part of it. `leading`: in where it leads the browser."""
        asked = _asked(request)
        for secret in self._held(text):
            if not (secret.shown_once and (secret.made_in is _request.get() or replayed)):
                self.found.append(f"{where} answers with {secret.what}")
        for shown, digest in _once_shown(text):
            known = self.digests.get(digest)
            is_led_back = leading and shown in self.brought
            if known is not None and not (known.made_in is _request.get() or replayed or shown in asked or is_led_back):
                self.found.append(f"{where} answers with what {known.what} is a digest of, which it did not make")

    def _held(self, text: bytes) -> Iterator[Secret]:
        for run in _RUN.findall(text):
            for start in range(len(run) - _PIECE + 1):
                secret = self.pieces.get(run[start : start + _PIECE])
                if secret is not None:
                    yield secret
        # Copies: a live server saves and answers in threads of its own.
        yield from (secret for plaintext, secret in list(self.plain.items()) if plaintext in text)
        if b"\\x" in text:
            unescaped = text.replace(b"\\\\", b"\\")
            yield from (secret for raw, secret in list(self.raw.items()) if raw in unescaped)


watch = Watch()
_request: ContextVar[object | None] = ContextVar("leaks_request", default=None)


def begin_watching() -> None:
    """For the whole run of the tests: once the settings are there, before anything is answered."""
    settings.MIDDLEWARE = [MIDDLEWARE, *settings.MIDDLEWARE]
    post_save.connect(_saved, dispatch_uid="leaks")


def _saved(instance: Model, **_rest: Any) -> None:
    watch.note(instance)


def _once_shown(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """What of an answer looks like something that is shown once, and its digest."""
    if b"tg_" in text:
        yield from ((each, hashlib.sha256(each).digest()) for each in _SHOWN_ONCE.findall(text))
    for kind, each in _LINKS.findall(text):
        # An invitation's link is signed: its digest is of what comes before the signature.
        secret = each.rpartition(b".")[0] if kind == b"invitations" else each
        yield each, hashlib.sha256(secret).digest()


@sync_and_async_middleware
def looked_through(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """The outermost: sees what clients get."""
    if iscoroutinefunction(get_response):

        async def asynchronous(request: HttpRequest) -> Any:
            token = _request.set(object())
            try:
                return _seen(request, await get_response(request))
            finally:
                _request.reset(token)

        return asynchronous

    def synchronous(request: HttpRequest) -> Any:
        token = _request.set(object())
        try:
            return _seen(request, get_response(request))
        finally:
            _request.reset(token)

    return synchronous


def _asked(request: HttpRequest) -> bytes:
    return unquote(request.get_full_path()).encode()


def _seen(request: HttpRequest, response: Any) -> Any:
    watch.brought.update(each for _kind, each in _LINKS.findall(_asked(request)))
    where = f"{request.method} {request.path}"
    replayed = "Idempotency-Replayed" in response.headers
    # Cookies are not looked at: a session's key is there, and nowhere else.
    headers = "\n".join(f"{name}: {value}" for name, value in response.headers.items()).encode()
    watch.look(f"{where} (headers)", headers, request, replayed=replayed, leading=True)
    if not response.headers.get("Content-Type", "").startswith(_TEXTUAL) or isinstance(response, FileResponse):
        return response
    if not response.streaming:
        watch.look(where, response.content, request, replayed=replayed)
    elif response.is_async:
        response.streaming_content = _parts_asynchronous(where, request, response.streaming_content)
    else:
        response.streaming_content = _parts(where, request, response.streaming_content)
    return response


def _parts(where: str, request: HttpRequest, parts: Iterator[bytes]) -> Iterator[bytes]:
    for part in parts:
        watch.look(where, part, request)
        yield part


async def _parts_asynchronous(where: str, request: HttpRequest, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for part in parts:
        watch.look(where, part, request)
        yield part
