"""What stands between a client and a provider that speak different dialects, as the relay knows it."""

from typing import Protocol

from apps.gateway.directory.views import Route
from apps.gateway.streams import StreamMeter
from apps.gateway.surfaces import Endpoint
from apps.gateway.translation.refusal import UpstreamRefusal
from apps.gateway.translation.stream import Passing
from apps.providers.usage import Usage


class Translation(Protocol):
    """One call: its request read once, written for each provider that is asked."""

    def write(self, route: Route, way: Endpoint, mode: str, cap: int | None) -> tuple[bytes, str]:
        """The body for the route's provider; and the names of what it loses, for the header that tells (empty: nothing).

        `cap`: the output tokens that a policy allows at most; None: what the client asked for. Raises UnsupportedParameter.
        """

    def answer(self, way: Endpoint, body: bytes, usage: Usage) -> bytes:
        """A whole answer. `usage`: what the call used, for where it does not tell. Raises UpstreamMalformed, UpstreamRefusal."""

    def refusal(self, way: Endpoint, status: int, body: bytes) -> UpstreamRefusal:
        """What the provider's refusal says."""

    def stream(self, way: Endpoint, meter: StreamMeter) -> Passing:
        """What stands between the provider's stream, which `meter` measures, and the client's."""
