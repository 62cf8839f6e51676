"""What a session rests on while it lasts: its token, its policies, its model and the account that it was opened with."""

from collections.abc import Callable

from apps.core.errors import InvalidValue, NoCredential, TokenUnknown
from apps.gateway import stages
from apps.gateway.directory.directory import Directory
from apps.gateway.directory.models import Models
from apps.gateway.directory.views import Route, TokenView
from apps.gateway.exchange import Exchange
from apps.gateway.realtime.pieces import Paid
from apps.gateway.surfaces import REALTIME


class Standing:
    """Holds what was true when the session was opened against what is true now, twice a second.

    A token that is revoked, a policy that changes, a model or account that is taken away end a session; new prices and limits count
    from the next response on. An account that is drained serves its sessions to their end.
    """

    def __init__(self, exchange: Exchange, directory: Directory, digest: bytes, models: Models, paid: Paid) -> None:
        self._exchange, self._directory, self._digest = exchange, directory, digest
        self._models, self._paid = models, paid
        self._others: list[Paid] = []  # of models that transcribe

    async def recheck(self) -> None:
        """Raises a GatewayError once the session may not go on, and DirectoryUnavailable where that cannot be found out."""
        directory, paid = self._directory, self._paid
        token = directory.known_token(self._digest) or await directory.token(self._digest)
        if token is None:
            raise TokenUnknown
        stages.check_live(token)
        stages.authorize(self._exchange, token, REALTIME)
        models = await stages.models_of(token, directory)
        if token is paid.token and models is self._models:
            return
        self._models = models
        for each in (paid, *self._others):
            _renew(each, token, models)

    def transcriber(self, name: str) -> Paid:
        """Who writes down what is heard, by the name that a client gives it. Raises GatewayError if it may not be called."""
        paid = self._paid
        credential = paid.route.credential
        if name in (paid.model.name, paid.route.upstream_model):
            return paid
        governor = paid.token.governor
        found = next((other for other in self._others if name in (other.model.name, other.route.upstream_model)), None)
        if found is not None:
            return found
        model = stages.resolve(name, self._models, governor)
        route = _same(governor.choose(model).routes, lambda route: route.credential.id == credential.id)
        if route is None:
            raise InvalidValue(
                f"'{name}' is not served by the account that this session is with ('{credential.label}').",
                param="session.audio.input.transcription.model",
            )
        made = Paid(paid.token, model, (route,), ())
        self._others.append(made)
        return made


def _renew(paid: Paid, token: TokenView, models: Models) -> None:
    paid.token = token
    paid.model = stages.resolve(paid.model.name, models, token.governor)
    before = paid.route
    if before.credential.id not in models.credentials:
        raise NoCredential(f"The account that this session is with ('{before.credential.label}') was taken away.")
    now = _same(
        token.governor.choose(paid.model).routes,
        lambda route: (route.credential.id, route.upstream_model) == (before.credential.id, before.upstream_model),
    )
    paid.routes = (now or before,)


def _same(routes: tuple[Route, ...], fits: Callable[[Route], bool]) -> Route | None:
    return next((route for route in routes if fits(route)), None)
