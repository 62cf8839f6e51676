"""Batches: run where their file is kept, and paid for when they are over."""

from typing import Any

import msgspec

from apps.core.errors import (
    InvalidValue,
    MissingParameter,
    ModelUnpriced,
    NoCredential,
    ObjectNotFound,
    ObjectsUnavailable,
)
from apps.gateway import stages
from apps.gateway.directory.views import Account, TokenView
from apps.gateway.dispatch import dispatch
from apps.gateway.exchange import Exchange
from apps.gateway.means import Means
from apps.gateway.objects.batch_input import ENDPOINTS
from apps.gateway.objects.calling import kept_call
from apps.gateway.objects.files import shown, take_back
from apps.gateway.objects.owners import BATCH, FILE, new
from apps.gateway.relay.keeping import Keeping
from apps.gateway.surfaces import Target
from apps.providers.dialects.bodies import rewrite
from apps.providers.dialects.heads import Identifier, decoded
from apps.providers.dialects.openai_heads import PlainHead


class BatchHead(PlainHead):
    """Of a batch to be made."""

    input_file_id: Identifier | None = None
    endpoint: Identifier | None = None


_decode = msgspec.json.Decoder(BatchHead).decode


async def create_batch(exchange: Exchange, means: Means, token: TokenView, target: Target) -> None:
    """POST /batches. Raises GatewayError."""
    body = await stages.read_body(exchange)
    stages.check_depth(exchange, body)
    head = decoded(body, _decode)
    stages.note_whose(exchange, head)
    for name in ("input_file_id", "endpoint"):
        if not getattr(head, name):
            raise MissingParameter(f"Missing required parameter: '{name}'.", param=name)
    endpoint = ENDPOINTS.get(head.endpoint or "")
    if endpoint is None:
        raise InvalidValue(f"Invalid value for 'endpoint': use one of {', '.join(ENDPOINTS)}.", param="endpoint")
    stages.check_scope(token, endpoint)
    file = await means.owners.find(token, FILE, head.input_file_id or "")
    if file is None:
        raise ObjectNotFound(
            f"There is no file '{(head.input_file_id or '')[:100]}' that this service has made here.",
            param="input_file_id",
        )
    if not file.model:
        raise InvalidValue("This file was not sent with the purpose 'batch'.", param="input_file_id")
    exchange.model_asked = file.model
    models = await stages.models_of(token, means.directory)
    account = models.credentials.get(file.credential)
    if account is None:
        raise NoCredential("The credential that keeps this file is switched off: an operator can enable it.")
    _check_money(exchange, token)
    governor = token.governor
    view = stages.resolve(file.model, models.undrained, governor)
    routes = [route for route in governor.choose(view).routes if route.credential.id == file.credential]
    if not routes:
        raise InvalidValue(
            f"The account that keeps this file does not serve '{file.model}' to this token any more: send the file again.",
            param="input_file_id",
        )
    if routes[0].sheet(exchange.arrived_at) is None and governor.policy.unpriced == "deny":
        source = governor.policy.sources["unpriced"].describe()
        raise ModelUnpriced(
            f"The price of '{file.model}' is not known, and {source} wants it known: an operator can set one "
            "(manage.py set_price).",
            param="input_file_id",
        )
    keeping = NewBatch(means, token, account, file.model)
    # Each field once, as it was read.
    call = kept_call(token, target, account, body=rewrite(body, {}), keeping=keeping)
    exchange.hold = await means.admission.admit(exchange, call)
    await dispatch(exchange, call, means.pool, means.health)


def _check_money(exchange: Exchange, token: TokenView) -> None:
    """What a batch will cost is known when it is over, which is too late for a budget that blocks. Raises InvalidValue."""
    counted = token.governor.packed(exchange.end_user, exchange.tags).request.budgets
    if any(each.rule.blocks for each in counted):
        raise InvalidValue(
            "Batches are not possible where a budget applies that blocks: what they cost is known only when they are over.",
            param="input_file_id",
        )


class NewBatch(Keeping):
    """A batch that is being made: its owner is written down before its id leaves."""

    def __init__(self, means: Means, token: TokenView, account: Account, model: str) -> None:
        self._means, self._token, self._account, self._model = means, token, account, model

    async def whole(self, exchange: Exchange, body: bytes) -> None:
        """As Keeping's. Raises ObjectsUnavailable; the batch is called off then."""
        facts: dict[str, Any] = shown(body)
        made = new(
            self._token,
            self._account.credential.id,
            BATCH,
            facts["id"],
            model=self._model,
            facts=facts,
            end_user=exchange.end_user,
            tags=exchange.tags,
            awaited=True,
        )
        try:
            await self._means.owners.add(made)
        except ObjectsUnavailable:
            await take_back(self._means, self._account, "POST", f"/batches/{facts['id']}/cancel")
            raise
