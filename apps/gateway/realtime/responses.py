"""The responses of a session: one is always held for before it can begin."""

from apps.core.errors import GatewayError
from apps.gateway.realtime.events import Response, ServerEvent
from apps.gateway.realtime.pieces import RESPONSE, Conversation, Paid, Piece, Till, response_head
from apps.providers.usage import openai_usage

_ASIDES_MOST = 16  # responses outside of the conversation that are asked for and have not begun
_OVER_MOST = 256  # ids that are known to have ended


class Responses:
    """A provider that listens begins a response when it will, one at a time in the conversation. So while none of those is under
    way, one is held for. Those outside of the conversation begin only where they are asked for, any number at a time: each is held
    for when it is.
    """

    def __init__(self, till: Till, paid: Paid, conversation: Conversation) -> None:
        self.paid = paid
        self._till, self._conversation = till, conversation
        self._spare: list[Piece] = []
        self._running: dict[str, Piece] = {}
        self._inside: set[str] = set()  # those of them in the conversation
        self._over: dict[str, None] = {}  # the last ones that have ended
        self._asides: dict[str, None] = {}  # events that ask for one outside of it, which has not begun

    @property
    def are_running(self) -> bool:
        """Whether any is under way."""
        return bool(self._running)

    @property
    def cap(self) -> int | None:
        """Output tokens that a policy allows for each."""
        return self.paid.token.governor.policy.max_output_tokens

    async def level(self) -> None:
        """Hold for as many as may begin, and no more. Raises what admission does."""
        wanted = len(self._asides) + (not self._inside)
        while len(self._spare) > wanted:
            self._spare.pop().drop()
        while len(self._spare) < wanted:
            self._spare.append(await self._till.take(self.paid, RESPONSE, response_head(self.paid, self.cap)))

    async def ask_aside(self, event_id: str) -> bool:
        """One is to be asked for outside of the conversation; False if too many are. Raises what admission does: then it is not."""
        if len(self._asides) >= _ASIDES_MOST:
            return False
        self._asides[event_id] = None
        try:
            await self.level()
        except GatewayError:
            self._asides.pop(event_id, None)
            raise
        return True

    async def refused(self, event_id: str) -> None:
        """The provider has refused an event of the client's."""
        if event_id in self._asides:
            del self._asides[event_id]
            await self.level()

    async def begin(self, response: Response) -> None:
        """One has begun. Raises what admission does where it was not held for."""
        id_ = _id(response)
        if id_ in self._running:
            return  # told twice: what is held for it must not be held for once more, and forgotten
        self._over.pop(id_, None)  # of a server that uses an id again, this is another one
        if response.is_aside:
            if self._asides:
                del self._asides[next(iter(self._asides))]
        else:
            self._inside.add(id_)
        await self._piece(id_)

    def hear(self, event: ServerEvent, size: int, rate: int) -> None:
        """Something of a response has come."""
        piece = self._running.get(event.response_id) if isinstance(event.response_id, str) else None
        if piece is not None:
            piece.exchange.count_out(size)
            piece.spoken += event.spoken(rate)
            piece.written += event.written

    async def end(self, response: Response) -> None:
        """One is over: what it has used is priced and recorded, once, however often it is told."""
        id_ = _id(response)
        if id_ not in self._running:
            if id_ in self._over:
                return
            await self._piece(id_)  # it was not told that it began
        piece = self._running.pop(id_)
        self._inside.discard(id_)
        if id_:
            self._over[id_] = None
            if len(self._over) > _OVER_MOST:
                del self._over[next(iter(self._over))]
        usage = openai_usage(response.usage) if isinstance(response.usage, dict) else None
        if usage is not None:
            self._conversation.learn(usage)
        elif not response.error_code:
            usage = self._conversation.estimate(piece)
        piece.end(usage, code=response.error_code)

    def stop(self, error: GatewayError) -> None:
        """The session ends: what is under way breaks off."""
        for piece in self._running.values():
            piece.end(self._conversation.estimate(piece), error)
        for piece in self._spare:
            piece.drop()
        self._running.clear()
        self._spare.clear()

    async def _piece(self, id_: str) -> None:
        """The one that is held for. Raises what admission does where there is none: it is under way all the same."""
        refusal = None
        if self._spare:
            piece = self._spare.pop()
        else:
            try:
                piece = await self._till.take(self.paid, RESPONSE, response_head(self.paid, self.cap))
            except GatewayError as error:
                piece, refusal = self._till.unheld(self.paid, RESPONSE), error
        self._running[id_] = piece
        piece.begin(id_)
        if refusal is not None:
            raise refusal


def _id(response: Response) -> str:
    return response.id if isinstance(response.id, str) else ""
