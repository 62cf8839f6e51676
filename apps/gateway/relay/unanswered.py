"""An attempt that brought nothing the client must see."""

from apps.gateway.exchange import Headers
from apps.gateway.health.failure import Failure


class Unanswered(Exception):
    """Another attempt may be made; if none is, what came is relayed."""

    def __init__(self, failure: Failure, *, status: int, body: bytes = b"", headers: Headers | None = None) -> None:
        self.failure, self.status, self.body, self.headers = failure, status, body, headers
        super().__init__()
