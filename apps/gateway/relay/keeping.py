"""What has to be done with an answer before the client may have it."""

from apps.gateway.exchange import Exchange


class Keeping:
    """Called by the relay. As it stands it does nothing; apps.gateway.objects says what there is to do."""

    # What the call uses is recorded later, apart from it: when the provider has done what it was asked for.
    pays_later = False

    async def whole(self, exchange: Exchange, body: bytes) -> None:
        """The answer has been read, and none of it has left. Raises GatewayError where it must not."""

    async def refused(self, status: int) -> None:
        """The provider refuses, finally."""

    async def begun(self, piece: bytes) -> bool:
        """A stream has begun with this; False: it must not leave yet, more is to be seen."""
        del piece
        return True

    async def ended(self, output: object) -> None:
        """A stream is whole; `output` is what a response of Responses consists of. Its last piece has not left."""
