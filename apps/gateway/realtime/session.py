"""A session under way: events go both ways as they come, and whatever ends it, it ends once, on both sides, with its records.

Neither side is read further than the other takes: no event waits here but the one that is being passed on. What a client asks for
is ruled before it passes, and what it costs is recorded before the client learns that it is over. When a budget has no room for
what may come next, the session ends; when a limit of a minute has none, the client's events wait until it has.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from apps.core.errors import (
    BodyTooLarge,
    ClientClosed,
    CountersUnavailable,
    DirectoryUnavailable,
    FirstByteTimeout,
    GatewayError,
    IdleTimeout,
    InvalidValue,
    LimitExceeded,
    ShuttingDown,
    TotalTimeout,
    UpstreamDisconnected,
    UpstreamError,
    UpstreamMalformed,
    UpstreamTimeout,
)
from apps.core.logs import get_logger
from apps.gateway.exchange import Exchange
from apps.gateway.realtime import events
from apps.gateway.realtime.caller import Caller, Left
from apps.gateway.realtime.events import ClientEvent, Rules, ServerEvent, Sounds
from apps.gateway.realtime.pieces import Conversation, Paid, Till
from apps.gateway.realtime.provider import Ended, Provider
from apps.gateway.realtime.responses import Responses
from apps.gateway.realtime.transcripts import Transcripts

log = get_logger(__name__)

_LOOK_EVERY = 0.5  # seconds between looks at the token, at the time, and whether the server stops
_WAIT_MOST = 120.0  # seconds that a limit may keep a client's events waiting
_OPENING_MOST = 16  # events that a provider may send before it has taken what a session is opened with
_FAREWELL = 2.0  # seconds that a client may take to read our last words
_REASON_MOST = 120  # bytes of a close frame's reason
_NORMAL, _GOING_AWAY, _UNSUPPORTED, _NO_CODE, _ABNORMAL = 1000, 1001, 1003, 1005, 1006
_POLICY, _TOO_BIG, _INTERNAL, _LATER = 1008, 1009, 1011, 1013
# What it means that a client left with one of these codes; with any other, it has simply ended the session.
_LEAVING: Mapping[int, Callable[[], GatewayError]] = {
    _ABNORMAL: ClientClosed,
    _TOO_BIG: lambda: BodyTooLarge("An event was larger than allowed (REALTIME_MAX_EVENT_BYTES)."),
}


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a session ends. `client`, `provider`: the close code and reason that each is sent; None: it has closed itself.

    `error`: what the record says; `shown`: whether the client is told of it by an event first.
    """

    client: tuple[int, str] | None
    provider: tuple[int, str] | None
    error: GatewayError | None = None
    shown: bool = False


@dataclass(slots=True)
class Times:
    """Seconds: how long a session may be silent, and last in all; how long what runs may take when the server stops."""

    idle: float
    total: float
    drain: float


@dataclass(slots=True)
class Opening:
    """What a session is opened with. `wanted`: fields of its configuration; `transcribes`: it does nothing else."""

    wanted: dict[str, Any] = field(default_factory=dict)
    transcribes: bool = False


class Session:
    """One session, from the provider's first event to both sides' last."""

    def __init__(
        self,
        exchange: Exchange,
        caller: Caller,
        provider: Provider,
        till: Till,
        responses: Responses,
        conversation: Conversation,
        *,
        times: Times,
        opening: Opening,
        recheck: Callable[[], Awaitable[None]],
        transcriber: Callable[[str], Paid],
    ) -> None:
        """`recheck` raises a GatewayError once the token may not call any more. `transcriber` finds who transcribes by a name."""
        self._exchange, self._caller, self._provider = exchange, caller, provider
        self._responses, self._conversation = responses, conversation
        self._transcripts = Transcripts(till, responses.paid)
        self._times, self._opening = times, opening
        self._recheck, self._find_transcriber = recheck, transcriber
        self._transcribers: dict[str, Paid] = {}  # by the provider's names
        self._sounds = Sounds()
        self._began = self._active = time.monotonic()
        self._room = asyncio.Event()  # there is room in the limits for what may come next
        self._room.set()
        self._waiting: asyncio.Task[None] | None = None
        self._ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._drain_until: float | None = None  # the server stops: nothing new is begun

    @property
    def _draining(self) -> bool:
        return self._drain_until is not None

    def _drain(self) -> None:
        self._drain_until = time.monotonic() + self._times.drain

    async def run(self) -> None:
        """Relay until it ends. Never raises."""
        if (closing := self._caller.closing) is not None:
            closing.add_done_callback(lambda _: self._drain())
        tasks = [asyncio.create_task(part(), name="realtime") for part in (self._relay, self._look)]
        try:
            ending = await self._ended
        except asyncio.CancelledError:  # the time to drain is over
            ending = _ending_of(ShuttingDown())
        if self._waiting is not None:
            tasks.append(self._waiting)
        for task in tasks:
            task.cancel()
        event = self._record(ending)  # before anything that may be waited for
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._say_farewell(ending, event)

    # --- Its end ---

    def _finish(self, ending: Ending) -> None:
        if not self._ended.done():
            self._ended.set_result(ending)

    def _record(self, ending: Ending) -> str:
        """Record and settle what is left. Returns the event that tells the client, empty if there is to be none."""
        exchange, error = self._exchange, ending.error
        broken = error or (ClientClosed() if ending.provider is not None else UpstreamDisconnected())
        self._responses.stop(broken)
        self._transcripts.stop(broken)
        event = events.error_event(error, exchange.shown_id.decode()) if error is not None and ending.shown else ""
        if event:
            exchange.count_out(len(event))
        attempt = exchange.attempts[-1]
        if isinstance(error, UpstreamError | UpstreamTimeout):
            attempt.fail(error.code)
        exchange.record(101 if error is None else error.status, error)
        return event

    async def _say_farewell(self, ending: Ending, event: str) -> None:
        with contextlib.suppress(Left, TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                if event:
                    await self._caller.send(event)
                if ending.client is not None:
                    await self._caller.close(*_sendable(*ending.client))
        if ending.provider is not None:
            await self._provider.close(*_sendable(*ending.provider))
        self._provider.abort()

    async def _guarded(self, work: Awaitable[None]) -> None:
        """Do a part of the work; whatever it fails with ends the session."""
        try:
            await work
        except Left as left:
            why = _LEAVING.get(left.code)
            self._finish(Ending(None, (left.code, left.reason), why() if why is not None else None))
        except Ended as ended:
            broken = None
            if ended.is_broken:
                broken = UpstreamDisconnected() if ended.code == _ABNORMAL else UpstreamMalformed()
            farewell = (ended.code, ended.reason) if broken is None else (_INTERNAL, broken.code)
            self._finish(Ending(farewell, None, broken, shown=broken is not None))
        except GatewayError as error:
            self._finish(_ending_of(error))
        except Exception as exc:
            log.exception("session_failed", request_id=self._exchange.shown_id.decode())
            unforeseen = GatewayError()
            unforeseen.__cause__ = exc
            self._finish(_ending_of(unforeseen))

    # --- Time, and whether it may still be ---

    async def _look(self) -> None:
        await self._guarded(self._keep_looking())

    async def _keep_looking(self) -> None:
        until = self._began + self._times.total
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            now = time.monotonic()
            if self._draining and (now >= (self._drain_until or 0) or not self._responses.are_running):
                raise ShuttingDown
            if now >= until:
                raise TotalTimeout("The session has lasted as long as one may: open another.")
            if now - self._active >= self._times.idle:
                raise IdleTimeout("Nothing was said in this session for too long: open another.")
            with contextlib.suppress(DirectoryUnavailable):  # what is under way goes on while the database is away
                await self._recheck()

    # --- What is said ---

    async def _relay(self) -> None:
        await self._guarded(self._open_and_relay())

    async def _open_and_relay(self) -> None:
        try:
            async with asyncio.timeout(self._exchange.attempts[-1].route.credential.timeouts.first_byte):
                await self._open()
        except TimeoutError as exc:
            raise FirstByteTimeout from exc
        listening = asyncio.create_task(self._guarded(self._from_client()), name="realtime-client")
        try:
            while True:
                await self._from_provider(await self._provider.receive())
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _open(self) -> None:
        """The provider's first event; then, where something is asked of every session, that, and one event for both."""
        opening = self._opening
        text = await self._provider.receive()
        event = events.read_server(text)
        if event.type not in events.SESSION_CREATED:
            if opening.wanted or self._cap is not None:
                raise UpstreamMalformed("The provider did not begin by saying that the session is open.")
            await self._from_provider(text)
            return
        session = events.session_of(text)
        self._sounds = events.sounds_of(session)
        wanted = dict(opening.wanted)
        hears = events.ruled_session(wanted, self._rules)
        if hears:
            await self._transcripts.use(self._transcribers[hears])
        cap = None if opening.transcribes else self._cap
        update = events.opening_update(str(event.type), session, wanted, cap)
        if update is None:
            await self._pass(text)
            return
        await self._provider.send(update[0])
        meanwhile: list[str] = []
        while True:
            updated = await self._provider.receive()
            said = events.read_server(updated)
            if said.type in events.SESSION_UPDATED:
                break
            if said.type == events.ERROR and said.refused_event in ("", update[1]):
                await self._pass(text)
                await self._pass(updated)
                raise InvalidValue("The provider does not take what this session is to be opened with.")
            meanwhile.append(updated)
            if len(meanwhile) > _OPENING_MOST:
                raise UpstreamMalformed("The provider did not take what this session is to be opened with.")
        self._sounds = events.sounds_of(events.session_of(updated))
        await self._pass(events.opened_as(text, updated))
        for text in meanwhile:
            await self._from_provider(text)

    async def _pass(self, text: str) -> None:
        """To the client, who may take its time."""
        self._active = time.monotonic()
        self._exchange.count_out(len(text))
        await self._caller.send(text)

    # --- From the provider ---

    async def _from_provider(self, text: str) -> None:
        event = events.read_server(text)
        ends = event.type == events.RESPONSE_DONE
        if ends:
            self._room.clear()  # the client may ask for the next one as soon as it hears of this one's end
        await self._heed(event, text)
        await self._pass(text)
        if ends and not self._draining and await self._make_room(self._responses.level):
            self._room.set()

    async def _heed(self, event: ServerEvent, text: str) -> None:
        """What an event means for what is held and recorded."""
        responses = self._responses
        match event.type:
            case events.RESPONSE_CREATED:
                await responses.begin(event.of_response)
            case events.RESPONSE_DONE:
                await responses.end(event.of_response)
            case events.AUDIO_COMMITTED:
                await self._make_room(lambda: self._transcripts.commit(_text(event.item_id)))
            case events.TRANSCRIBED:
                await self._transcripts.end(_text(event.item_id), event.usage)
            case events.NOT_TRANSCRIBED:
                self._transcripts.fail(_text(event.item_id))
            case events.ERROR:
                if refused := event.refused_event:
                    await responses.refused(refused)
            case kind if kind in events.SESSION_UPDATED or kind in events.SESSION_CREATED:
                self._sounds = events.sounds_of(events.session_of(text))
            case _:
                responses.hear(event, len(text), self._sounds.spoken)

    # --- From the client ---

    async def _from_client(self) -> None:
        while True:
            await self._room.wait()
            try:
                text = await self._caller.receive()
            except ValueError:
                self._finish(Ending((_UNSUPPORTED, "events are text"), (_NORMAL, "")))
                return
            self._active = time.monotonic()
            self._exchange.body_size += len(text)
            if self._draining:
                continue  # nothing new is begun
            passes = await self._ruled(text)
            if passes is None:
                continue
            await self._room.wait()
            await self._provider.send(passes)

    async def _ruled(self, text: str) -> str | None:
        """The client's event as it may pass; None, and the client is told why, if it may not."""
        caused_by = None
        try:
            event = events.read_client(text)
            caused_by = event.event_id
            if event.type != events.AUDIO_APPEND:
                return await self._rule(event)
        except GatewayError as error:
            await self._tell(error, caused_by)  # the session goes on without it
            return None
        # Audio is of no use with gaps: where there is no room for it, the session waits or ends.
        seconds = event.seconds(self._sounds.heard)
        self._conversation.hear(seconds)
        await self._make_room(lambda: self._transcripts.hear(seconds, event.seconds_most))
        return event.text

    async def _tell(self, error: GatewayError, caused_by: str | None = None) -> None:
        said = events.error_event(error, self._exchange.shown_id.decode(), caused_by)
        self._exchange.count_out(len(said))
        await self._caller.send(said)

    async def _rule(self, event: ClientEvent) -> str:
        """Raises GatewayError."""
        self._conversation.read(len(event.text))
        if events.is_update(event):
            passes, hears = events.ruled_update(event, self._rules)
            if hears is not None:
                await self._transcripts.use(self._transcribers.get(hears))
            return passes
        if event.type == events.RESPONSE_CREATE:
            asked = events.ruled_response(event, self._rules)
            if asked.aside and not await self._responses.ask_aside(asked.event_id):
                raise InvalidValue(
                    "Too many responses outside of the conversation were asked for at once: wait for some."
                )
            return asked.text
        return event.text

    @property
    def _cap(self) -> int | None:
        return self._responses.cap

    @property
    def _rules(self) -> Rules:
        paid = self._responses.paid
        upstream = paid.route.upstream_model
        return Rules(frozenset({paid.model.name, upstream}), upstream, self._cap, self._transcribed_by)

    def _transcribed_by(self, name: str) -> str:
        paid = self._find_transcriber(name)
        upstream = paid.route.upstream_model
        self._transcribers[upstream] = paid
        return upstream

    # --- Room in limits and budgets ---

    async def _make_room(self, take: Callable[[], Awaitable[None]]) -> bool:
        """Take what may be needed next. Where a limit of a minute has no room, the client's events wait, and the client is told so.

        Returns whether they need not. Raises GatewayError where waiting does not help.
        """
        try:
            await take()
        except LimitExceeded as error:
            wait = _wait(error)
            if wait is None:
                raise
            if self._waiting is not None and not self._waiting.done():
                return False  # it takes whatever is missing
            self._room.clear()
            await self._tell(error)
            self._waiting = asyncio.create_task(self._guarded(self._wait_for_room(wait)), name="realtime-room")
            return False
        return self._waiting is None or self._waiting.done()

    async def _wait_for_room(self, wait: float) -> None:
        until = time.monotonic() + _WAIT_MOST
        while True:
            await asyncio.sleep(wait)
            try:
                await self._responses.level()
                await self._transcripts.hear(0.0, 0.0)
            except LimitExceeded as error:
                again = _wait(error)
                if again is None or time.monotonic() + again > until:
                    raise
                wait = again
            else:
                self._room.set()
                return


def _ending_of(error: GatewayError) -> Ending:
    """How both sides are told of what we end a session for."""
    code = error.code
    match error:
        case ShuttingDown():
            return Ending((_GOING_AWAY, "the gateway is restarting"), (_GOING_AWAY, ""), error, shown=True)
        case CountersUnavailable() | LimitExceeded():
            return Ending((_LATER, code), (_NORMAL, ""), error, shown=True)
        case UpstreamError() | UpstreamTimeout() if not isinstance(error, IdleTimeout | TotalTimeout):
            return Ending((_INTERNAL, code), (_NORMAL, ""), error, shown=True)
        case _ if error.status >= 500 and not isinstance(error, IdleTimeout | TotalTimeout):
            return Ending((_INTERNAL, code), (_NORMAL, ""), error, shown=True)
        case _:
            return Ending((_POLICY, code), (_NORMAL, ""), error, shown=True)


def _sendable(code: int, reason: str) -> tuple[int, str]:
    """A close as it may be sent on: codes that stand for none, or for a broken connection, cannot."""
    if code == _NO_CODE:
        code = _NORMAL
    elif code in (1004, _ABNORMAL, 1015) or not (1000 <= code <= 1014 or 3000 <= code < 5000):
        code = _GOING_AWAY
    return code, reason.encode()[:_REASON_MOST].decode("utf-8", "ignore")


def _wait(error: LimitExceeded) -> float | None:
    """Seconds until there may be room; None: waiting does not help."""
    found = dict(error.headers).get(b"retry-after-ms")
    return None if found is None else min(float(found) / 1000, _WAIT_MOST)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
