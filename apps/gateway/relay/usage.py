"""What a call has used, as far as its answer tells, and our estimate of the rest."""

from apps.gateway.exchange import Exchange
from apps.gateway.governance.call import Call
from apps.gateway.governance.estimates import estimated_input
from apps.gateway.governance.making import Made
from apps.gateway.translation.stream import Passing
from apps.providers.usage import Usage, completed, is_error, written_tokens


def made_usage(exchange: Exchange, call: Call, made: Made, told: Usage | None, *, whole: bool) -> Usage:
    """What a call for pictures or sound has used: what was told, and our count of the rest."""
    sheet = exchange.attempts[-1].route.sheet(exchange.arrived_at)
    return made.used(call.head, call.body, told, whole=whole, sheet=sheet)


def learn(exchange: Exchange, call: Call, body: bytes) -> None:
    """Usage and model of a buffered answer; an estimate where it tells none."""
    endpoint = call.target.endpoint
    exchange.is_told = True  # all there is to be told
    if endpoint.counted is not None:
        return
    if endpoint.made is not None:
        answer = endpoint.made.read(body)
        exchange.model_served = answer.model or exchange.model_served
        exchange.usage = made_usage(exchange, call, endpoint.made, answer.usage, whole=True)
        return
    answer = exchange.attempts[-1].way.dialect.read_answer(body)
    exchange.model_served = answer.model or exchange.model_served
    if endpoint.is_free:
        exchange.usage = answer.usage or exchange.usage
        return
    if answer.usage is None and is_error(body):
        exchange.is_told = False  # refused, though with status 200: there is nothing to estimate
        return
    exchange.usage = completed(
        answer.usage,
        tier=answer.tier,
        input_tokens=lambda: estimated_input(call.body),
        output_tokens=(lambda: written_tokens(body)) if call.writes else None,
    )


def take_usage(exchange: Exchange, call: Call, meter: Passing) -> None:
    """Usage and model of a stream, so far."""
    exchange.model_served = meter.model or exchange.model_served
    exchange.is_told = meter.usage is not None
    made = call.target.endpoint.made
    if made is None:
        exchange.usage = meter.spent(lambda: estimated_input(call.body))
        return
    if meter.usage is not None or meter.events > bool(meter.error):  # an error is an event as well
        whole = meter.complete and not meter.error
        exchange.usage = made_usage(exchange, call, made, meter.usage, whole=whole)
