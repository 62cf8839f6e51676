"""Calls that put documents in an order: the most that one can use, and what it has used. Pure.

Such models are billed by the search, or by the tokens of what they read. Cohere's search is one query with up to a hundred
documents; a document longer than 500 tokens, query included, counts as several.
"""

import msgspec

from apps.gateway.governance.estimates import Bounds
from apps.gateway.governance.making import Made, is_billed_in_tokens
from apps.providers.dialects.openai_heads import RerankHead
from apps.providers.prices.sheet import PriceSheet
from apps.providers.usage import Usage, read_rerank

_DOCUMENTS = 100  # of one search
_CHUNK = 500  # tokens of a document that count as one
_CHUNK_LEAST = 250  # bytes, and so tokens, of a document that a long query leaves room for in each
_BYTES = 4  # of a token
_FRAME = 8  # tokens that a model puts around a query and a document


def rerank_bounds(head: RerankHead, _body: bytes) -> Bounds:
    """The most that a call uses: the query is read again with each document."""
    count, size = head.documents_count, head.size
    return Bounds(
        input_tokens=count * (len(head.query) + _FRAME) + size,
        output_tokens=0,
        audio=False,
        images=False,
        searches=0,
        units=_searches(count + size // _CHUNK_LEAST),
    )


def rerank_used(head: RerankHead, body: bytes, told: Usage | None, *, whole: bool, sheet: PriceSheet | None) -> Usage:
    """What was told; where that is not what the model is billed by, our estimate of it."""
    usage = told or Usage()
    if sheet is not None and is_billed_in_tokens(sheet, Usage(searches=1)):
        estimated = usage.input is None
        tokens = _about(head, body) if estimated else usage.input
        # Searches have no price here: what was read has one.
        usage = msgspec.structs.replace(usage, input=tokens, searches=None, estimated=estimated)
    elif usage.searches is None and (sheet is not None or usage.input is None):
        searches = _searches(head.documents_count + head.size // (_CHUNK * _BYTES))
        usage = msgspec.structs.replace(usage, searches=searches, estimated=True)
    return usage if whole else msgspec.structs.replace(usage, estimated=True)


def _about(head: RerankHead, _body: bytes) -> int:
    return head.documents_count * -(-len(head.query) // _BYTES) + head.size // _BYTES


def _searches(chunks: int) -> int:
    return max(1, -(-chunks // _DOCUMENTS))


RANKING: Made = Made(rerank_bounds, read_rerank, rerank_used, about=_about)
