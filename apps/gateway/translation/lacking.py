"""What servers turned out not to have, though others of their kind do, endpoints or betas: they are asked otherwise for a while."""

import time
from collections import OrderedDict
from collections.abc import Callable

from apps.gateway.directory.views import CredentialView

_MOST = 10_000
_AGAIN = 3600.0  # seconds after which a server may have learnt it


class Lacking:
    """What is known of them in this process. `clock`: seconds that only go forward."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    def learn(self, credential: CredentialView, name: str) -> None:
        """The server has refused this endpoint, or beta, as such."""
        self._until[credential.id, credential.base_url, name] = self._clock() + _AGAIN
        if len(self._until) > _MOST:
            self._until.popitem(last=False)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known, as is usual."""
        return not self._until

    def knows(self, credential: CredentialView, name: str) -> bool:
        """Whether it is known to have none."""
        if not self._until:
            return False
        return self._until.get((credential.id, credential.base_url, name), 0.0) > self._clock()
