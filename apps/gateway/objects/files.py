"""Files: made at the first account that may keep them, or for a batch at the first that serves its model."""

from typing import Any

import orjson

from apps.core.endpoints import BATCHES, FILES
from apps.core.errors import (
    GatewayError,
    InvalidValue,
    MissingParameter,
    NoCredential,
    ObjectsUnavailable,
    UpstreamMalformed,
)
from apps.core.logs import get_logger
from apps.gateway import stages
from apps.gateway.directory.models import Models
from apps.gateway.directory.views import Account, TokenView
from apps.gateway.dispatch import dispatch
from apps.gateway.exchange import Exchange
from apps.gateway.means import Means
from apps.gateway.objects.batch_input import BatchInput, Bounds, read_batch, rewritten
from apps.gateway.objects.calling import PROVIDER, allowed_routes, choose_account, kept_call
from apps.gateway.objects.fetching import fetch
from apps.gateway.objects.owners import FILE, new
from apps.gateway.objects.pins import pin_of
from apps.gateway.relay.keeping import Keeping
from apps.gateway.surfaces import Target, is_kept_id
from apps.gateway.uploads.reading import read_form
from apps.providers.dialects.openai_heads import PlainHead

log = get_logger(__name__)

_BATCH = "batch"


async def create_file(exchange: Exchange, means: Means, token: TokenView, target: Target) -> None:
    """POST /files. Raises GatewayError."""
    form = await read_form(exchange, means.uploads)
    try:
        stages.note_whose(exchange, PlainHead())
        part = form.only_file("file")
        purpose = form.fields().get("purpose", [])
        if not purpose:
            raise MissingParameter("Missing required parameter: 'purpose'.", param="purpose")
        if len(purpose) > 1:
            raise InvalidValue("Send 'purpose' once.", param="purpose")
        models = await stages.models_of(token, means.directory)
        wish = exchange.header(PROVIDER)
        model = ""
        if purpose[0] == _BATCH:
            bounds = Bounds(exchange.config.max_body_bytes, exchange.config.max_json_depth, token.governor.policy)
            asked = await read_batch(form, part, means.uploads, bounds)
            exchange.model_asked = model = asked.model
            account, upstream_model = await _account_for(means, token, models, asked, wish)
            if asked.is_ambiguous or upstream_model != asked.model:
                part.source = await rewritten(form, part, means.uploads, upstream_model, bounds.line)
                part.start, part.size = 0, part.source.size
        else:
            account = choose_account(models, token, FILES, wish)
        call = kept_call(token, target, account, form=form, keeping=NewFile(means, token, account, model))
        exchange.hold = await means.admission.admit(exchange, call)
        await dispatch(exchange, call, means.pool, means.health)
    finally:
        form.close()


async def _account_for(
    means: Means, token: TokenView, models: Models, asked: BatchInput, wish: str
) -> tuple[Account, str]:
    """Where a batch can run, and what its model is called there. Raises GatewayError."""
    stages.check_scope(token, asked.endpoint)
    governor = token.governor
    view = stages.resolve(asked.model, models, governor)
    routes = allowed_routes(governor.choose(view).routes, models, BATCHES, wish)
    routes = [route for route in routes if route.serves(asked.endpoint)]
    if not routes:
        whose = f" of '{wish}'" if wish else ""
        raise NoCredential(f"No credential{whose} that serves '{asked.model}' runs batches.")
    pin = await pin_of(means.owners, token, asked.references)
    if pin is not None:
        routes = [route for route in routes if route.credential.id == pin.credential]
        if not routes:
            raise InvalidValue(
                "A file that the batch refers to is kept by an account that cannot run it.", param="file"
            )
    return models.credentials[routes[0].credential.id], routes[0].upstream_model


class NewFile(Keeping):
    """A file that is being made: its owner is written down before its id leaves."""

    def __init__(self, means: Means, token: TokenView, account: Account, model: str) -> None:
        self._means, self._token, self._account, self._model = means, token, account, model

    async def whole(self, exchange: Exchange, body: bytes) -> None:
        """As Keeping's. Raises ObjectsUnavailable; the file is taken back then."""
        facts = shown(body)
        made = new(
            self._token,
            self._account.credential.id,
            FILE,
            facts["id"],
            model=self._model,
            facts=facts,
            end_user=exchange.end_user,
            tags=exchange.tags,
        )
        try:
            await self._means.owners.add(made)
        except ObjectsUnavailable:
            await take_back(self._means, self._account, "DELETE", f"/files/{facts['id']}")
            raise


def shown(body: bytes) -> dict[str, Any]:
    """The object that an answer shows. Raises UpstreamMalformed for one that nobody could ask for again."""
    try:
        facts = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise UpstreamMalformed from exc
    if not isinstance(facts, dict) or not is_kept_id(facts.get("id")):
        raise UpstreamMalformed("The provider's answer has no id.")
    return facts


async def take_back(means: Means, account: Account, method: str, path: str) -> None:
    """Undo what nobody would own."""
    try:
        await fetch(means.pool, account, method, path)
    except GatewayError as exc:
        log.error("object_without_owner", path=path, credential=account.credential.label, why=exc.code)
