"""Which translation a call needs."""

from apps.gateway.exchange import Exchange
from apps.gateway.governance.call import Call
from apps.gateway.governance.estimates import estimated_input
from apps.gateway.translation.embedding import EmbeddingTranslation
from apps.gateway.translation.text import TextTranslation
from apps.gateway.translation.translation import Translation
from apps.providers.translation.spoken import Shown


def translation_of(exchange: Exchange, call: Call) -> Translation:
    """The call's request, read for other dialects. Raises BadRequest naming the field."""

    endpoint, model = call.target.endpoint, exchange.model_asked
    if not endpoint.writes:
        return EmbeddingTranslation(endpoint, call.body, model)

    def shown() -> Shown:
        return Shown(
            id=exchange.id,
            model=model,
            created=int(exchange.arrived_at),
            input_tokens=estimated_input(call.body),
        )

    return TextTranslation(endpoint, call.body, model, stream=exchange.stream, shown=shown)
