"""What the events of a realtime session say, as far as the gateway decides on it, and the events it says itself. Pure.

Events pass as they came. Read are their types, and of the few that ask for something or cost something, what that is. Facts:
OpenAI's API reference of realtime client and server events, in their first form and in their present one.
"""

import os
from collections.abc import Callable
from typing import Any

import msgspec
import orjson

from apps.core.errors import GatewayError, InvalidJson, InvalidType, InvalidValue, MissingParameter
from apps.providers.dialects.bodies import rewrite

_UPDATE = ".update"
_UPDATES = frozenset({"session.update", "transcription_session.update"})
RESPONSE_CREATE = "response.create"
AUDIO_APPEND = "input_audio_buffer.append"
SESSION_CREATED = frozenset({"session.created", "transcription_session.created"})
SESSION_UPDATED = frozenset({"session.updated", "transcription_session.updated"})
RESPONSE_CREATED = "response.created"
RESPONSE_DONE = "response.done"
AUDIO_COMMITTED = "input_audio_buffer.committed"
_HEARD = "conversation.item.input_audio_transcription."
TRANSCRIBED = _HEARD + "completed"
NOT_TRANSCRIBED = _HEARD + "failed"
ERROR = "error"
_AUDIO_DELTAS = frozenset({"response.output_audio.delta", "response.audio.delta"})

_CAPS = ("max_output_tokens", "max_response_output_tokens")  # the present name, and the first
_PCM_BYTES, _TELEPHONE_BYTES = 48_000, 8_000  # bytes of a second of audio: 24 kHz in 16 bits, 8 kHz in 8
_ABSENT = msgspec.Raw(b"")
_QUOTES = 2


class ClientEvent(msgspec.Struct):
    """What a client says. `text` is what passes on, each of its fields once."""

    type: str
    event_id: str | None = None
    audio: msgspec.Raw = _ABSENT
    text: str = ""

    @property
    def seconds_most(self) -> float:
        """Seconds of audio that it brings, if it is the densest there is."""
        return _seconds(len(self.audio), _TELEPHONE_BYTES)

    def seconds(self, rate: int) -> float:
        """Seconds of audio that it brings, at so many bytes a second."""
        return _seconds(len(self.audio), rate)


_decode_client = msgspec.json.Decoder(ClientEvent).decode


def read_client(text: str) -> ClientEvent:
    """One event of a client. Raises BadRequest."""
    if "\\" in text or text.count('"type"') != 1:
        # A name may stand twice, or be hidden in escapes: what passes on says what has been read.
        try:
            text = rewrite(text.encode(), {}).decode()
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as exc:
            raise InvalidJson("The event is not valid JSON: send a JSON object.") from exc
    try:
        event = _decode_client(text)
    except msgspec.ValidationError as exc:
        raise InvalidType(
            f"The event cannot be read ({exc}): its 'type' and 'event_id' are strings.", param="type"
        ) from exc
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as exc:
        raise InvalidJson(f"The event is not valid JSON ({exc}): send a JSON object.") from exc
    event.text = text
    return event


class Rules(msgspec.Struct, frozen=True):
    """What a session may be asked for. `transcriber`: by the name a client gives a model that writes down what is heard, the
    provider's own name of it; raises GatewayError for one that may not be called."""

    names: frozenset[str]  # what a client may call the session's model
    upstream: str  # what the provider calls it
    cap: int | None  # output tokens that a policy allows for each response
    transcriber: Callable[[str], str]

    def knows(self, model: object) -> bool:
        """Whether that is what a client may call the session's model."""
        return isinstance(model, str) and model in self.names


def is_update(event: ClientEvent) -> bool:
    """Whether the event changes the session."""
    return event.type in _UPDATES


def ruled_update(event: ClientEvent, rules: Rules) -> tuple[str, str | None]:
    """An update as it may pass on, and the provider's name of the model that transcribes from then on.

    The name is None if the update says nothing of it, empty if there is to be none. Raises GatewayError.
    """
    said = _object(event.text)
    session = said.get("session")
    if not isinstance(session, dict):
        return event.text, None
    hears = ruled_session(session, rules)
    return orjson.dumps(said).decode(), hears


def ruled_session(session: dict[str, Any], rules: Rules) -> str | None:
    """Bring a session's fields in line, in place. Returns the transcribing model as `ruled_update` does. Raises GatewayError."""
    if (model := session.get("model")) is not None:
        if not rules.knows(model):
            raise InvalidValue(
                f"The model of this session is '{rules.upstream}' and cannot be changed: open another session.",
                param="session.model",
            )
        session["model"] = rules.upstream
    _cap(session, rules.cap)
    hears = None
    audio = session.get("audio")
    heard = audio.get("input") if isinstance(audio, dict) else None
    for holder, name in ((session, "input_audio_transcription"), (heard, "transcription")):
        if not isinstance(holder, dict) or name not in holder:
            continue
        transcription = holder[name]
        if transcription is None:
            hears = ""
            continue
        asked = transcription.get("model") if isinstance(transcription, dict) else None
        if not isinstance(asked, str):
            raise MissingParameter(
                "Name the model that is to transcribe: what is not named cannot be priced.", param="session." + name
            )
        hears = transcription["model"] = rules.transcriber(asked)
    return hears


class Asked(msgspec.Struct, frozen=True):
    """A response that is asked for, as it may pass on. `aside`: outside of the conversation, so that it may run beside another."""

    text: str
    event_id: str
    aside: bool


def ruled_response(event: ClientEvent, rules: Rules) -> Asked:
    """A request for a response. One outside of the conversation has an id, so that its refusal can be told. Raises GatewayError."""
    said = _object(event.text)
    response = said.get("response")
    aside = isinstance(response, dict) and response.get("conversation") == "none"
    if isinstance(response, dict):
        if (model := response.get("model")) is not None and not rules.knows(model):
            raise InvalidValue(f"The model of this session is '{rules.upstream}'.", param="response.model")
        if model is not None:
            response["model"] = rules.upstream
        _cap(response, rules.cap)
    if aside and not event.event_id:
        said["event_id"] = _event_id()
    return Asked(orjson.dumps(said).decode(), said.get("event_id") or "", aside)


def _cap(fields: dict[str, Any], cap: int | None) -> None:
    if cap is None:
        return
    for name in _CAPS:
        if name in fields and not (type(fields[name]) is int and 0 < fields[name] <= cap):
            fields[name] = cap


def _object(text: str) -> dict[str, Any]:
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise InvalidJson(f"The event is not valid JSON ({exc}): send a JSON object.") from exc
    if not isinstance(said, dict):
        raise InvalidJson("The event is not valid JSON: send a JSON object.")
    return said


class Response(msgspec.Struct):
    """A response, as its first and last events tell of it."""

    id: Any = None
    conversation_id: Any = msgspec.UNSET
    status: Any = None
    status_details: Any = None
    usage: Any = None

    @property
    def is_aside(self) -> bool:
        """Whether it is outside of the conversation: its provider says so, or asks nothing of what was said before."""
        return self.conversation_id is None

    @property
    def error_code(self) -> str:
        """Why it failed, in the provider's words; empty if it did not."""
        if self.status != "failed":
            return ""
        error = self.status_details.get("error") if isinstance(self.status_details, dict) else None
        return _word(error, "code") or _word(error, "type") or "response_failed"


class ServerEvent(msgspec.Struct):
    """What a provider says. Fields that are not as they should be tell nothing."""

    type: Any = ""
    response_id: Any = None
    response: msgspec.Raw = _ABSENT
    item_id: Any = None
    usage: Any = None
    delta: msgspec.Raw = _ABSENT
    error: Any = None

    @property
    def of_response(self) -> Response:
        """The response that it tells of."""
        try:
            return _decode_response(self.response)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Response()

    @property
    def refused_event(self) -> str:
        """Of an error: the id of the client's event that caused it; empty if it does not say."""
        return _word(self.error, "event_id")

    @property
    def error_code(self) -> str:
        """Of an error: its code, or its type."""
        return _word(self.error, "code") or _word(self.error, "type")

    def spoken(self, rate: int) -> float:
        """Seconds of audio that it brings, at so many bytes a second."""
        return _seconds(len(self.delta), rate) if self.type in _AUDIO_DELTAS else 0.0

    @property
    def written(self) -> int:
        """Bytes of text that it brings."""
        return 0 if self.type in _AUDIO_DELTAS else max(0, len(self.delta) - _QUOTES)


_decode_server = msgspec.json.Decoder(ServerEvent).decode
_decode_response = msgspec.json.Decoder(Response).decode


def read_server(text: str) -> ServerEvent:
    """One event of a provider. What cannot be read tells nothing: it passes all the same."""
    try:
        event = _decode_server(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return ServerEvent()
    return event if isinstance(event.type, str) else ServerEvent()


def _word(fields: object, name: str) -> str:
    found = fields.get(name) if isinstance(fields, dict) else None
    return found if isinstance(found, str) else ""


class Sounds(msgspec.Struct, frozen=True):
    """Bytes of a second of audio, in and out."""

    heard: int = _PCM_BYTES
    spoken: int = _PCM_BYTES


def sounds_of(session: dict[str, Any]) -> Sounds:
    """In which form a session has its audio, as the provider says of it."""
    audio = session.get("audio")
    sides = audio if isinstance(audio, dict) else {}
    return Sounds(
        _rate(sides.get("input"), session.get("input_audio_format")),
        _rate(sides.get("output"), session.get("output_audio_format")),
    )


def session_of(text: str) -> dict[str, Any]:
    """The session that an event tells of; empty if none."""
    try:
        session = orjson.loads(text).get("session")
    except (orjson.JSONDecodeError, AttributeError):
        return {}
    return session if isinstance(session, dict) else {}


def opening_update(
    created: str, session: dict[str, Any], wanted: dict[str, Any], cap: int | None
) -> tuple[str, str] | None:
    """The event that brings a new session in line, and its id; None if there is nothing to say.

    `created`: the type of the event that says it is open; `session`: as it is; `wanted`: fields that it is to have.
    """
    fields = dict(wanted)
    if cap is not None and not any(name in fields for name in _CAPS):
        fields[_CAPS[1] if _CAPS[1] in session else _CAPS[0]] = cap
    if not fields:
        return None
    if isinstance(form := session.get("type"), str):
        fields.setdefault("type", form)
    event_id = _event_id()
    kind = created.partition(".")[0] + _UPDATE
    return orjson.dumps({"type": kind, "event_id": event_id, "session": fields}).decode(), event_id


def opened_as(created: str, updated: str) -> str:
    """The event that says that a session was opened, as if it had been opened with what it was updated to."""
    said = orjson.loads(created)
    said["session"] = session_of(updated)
    return orjson.dumps(said).decode()


def error_event(error: GatewayError, request_id: str, caused_by: str | None = None) -> str:
    """An error of ours, in the words of the session's own. `caused_by`: the id of the client's event, if it had one."""
    shown: dict[str, object] = {
        "type": error.type,
        "code": error.code,
        "message": f"{error.message} (request {request_id})" if error.names_request else error.message,
        "param": error.param,
        "event_id": caused_by,
    }
    if error.details is not None:
        shown.update(error.details)
    return orjson.dumps({"type": ERROR, "event_id": _event_id(), "error": shown}).decode()


def _event_id() -> str:
    return f"event_{os.urandom(12).hex()}"


def _rate(side: object, first_form: object) -> int:
    form = side.get("format") if isinstance(side, dict) else first_form
    name = form.get("type") if isinstance(form, dict) else form
    return _PCM_BYTES if not isinstance(name, str) or "pcm16" in name or name == "audio/pcm" else _TELEPHONE_BYTES


def _seconds(base64_bytes: int, rate: int) -> float:
    return max(0, base64_bytes - _QUOTES) * 3 / 4 / rate
