"""Answers that are read whole, or passed on unread."""

from apps.core.errors import UpstreamMalformed
from apps.gateway.exchange import Exchange, Headers
from apps.gateway.governance.call import Call
from apps.gateway.governance.estimates import estimated_input
from apps.gateway.health.failure import Failure
from apps.gateway.keeping import Keeper, Outline, Whole
from apps.gateway.relay.chunks import Chunks
from apps.gateway.relay.sending import JSON, send_chunk, send_head
from apps.gateway.relay.unanswered import Unanswered
from apps.gateway.relay.usage import learn, made_usage
from apps.gateway.surfaces import CHAT_COMPLETIONS
from apps.gateway.watch import Watch
from apps.providers.reasons import answer_reason
from apps.providers.translation.chat.mending import mended_answer
from apps.providers.usage import Usage

# An answer up to this size is read whole before its first byte leaves. Larger ones are relayed as they come.
WHOLE = 1024 * 1024
# The largest answer that is translated, which takes all of it at once.
_TRANSLATED_MOST = 32 * 1024 * 1024


async def relay_whole(exchange: Exchange, call: Call, headers: Headers, chunks: Chunks, watch: Watch) -> None:
    """A buffered answer: read to its end, its usage taken, recorded, sent. One larger than WHOLE is relayed as it comes, where
    nothing need be translated."""
    way = exchange.attempts[-1].way
    native = way is call.target.endpoint
    parts: list[bytes] = []
    size = 0
    while chunk := await chunks.next():
        parts.append(chunk)
        size += len(chunk)
        if size > WHOLE:
            if native:
                await _relay_large(exchange, call, headers, parts, chunks, watch)
                return
            if size > _TRANSLATED_MOST:
                raise UpstreamMalformed("The provider's answer is too large to be translated.")
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    watch.close()
    learn(exchange, call, body)
    wanted = call.token.governor.policy.fallback_on
    reason = answer_reason(way.dialect.name, body) if wanted else ""
    if not native:
        body = call.translation.answer(way, body, exchange.usage)
        headers.append(JSON)
    elif is_mended(exchange, call):
        body = mended_answer(body)
    headers.append((b"content-length", b"%d" % len(body)))
    if reason and reason in wanted:
        raise Unanswered(Failure("content", reason), status=200, body=body, headers=headers)
    if native and call.keeping is not None:
        await call.keeping.whole(exchange, body)
    exchange.count_out(len(body))
    exchange.record(200)
    if exchange.cost_usd is not None and not call.token.governor.policy.hide_served:
        headers.append((b"x-tollgate-cost-usd", exchange.cost_usd.encode()))
    await exchange.answer(200, headers, body)


def is_mended(exchange: Exchange, call: Call) -> bool:
    """Whether a provider's own chat may have to be put right for clients of OpenAI's."""
    return call.target.endpoint is CHAT_COMPLETIONS and exchange.attempts[-1].route.credential.kind.mends_chats


async def _relay_large(
    exchange: Exchange,
    call: Call,
    headers: Headers,
    parts: list[bytes],
    chunks: Chunks,
    watch: Watch,
) -> None:
    """The rest of a large answer. The last piece is held back until the record is written."""
    await send_head(exchange, 200, headers)
    keeper: Keeper = Outline() if call.target.endpoint.made is not None else Whole()
    held = b"".join(parts)
    parts.clear()
    while chunk := await chunks.next():
        keeper.feed(held)
        await send_chunk(exchange, held, watch)
        held = chunk
    keeper.feed(held)
    watch.close()
    kept = keeper.kept()
    if kept is not None:
        learn(exchange, call, kept)
    elif call.target.endpoint.made is not None:
        exchange.usage = made_usage(exchange, call, call.target.endpoint.made, None, whole=True)
    else:
        output = (exchange.bytes_out + len(held)) // 4 if call.writes else None
        exchange.usage = Usage(input=estimated_input(call.body), output=output, estimated=True)
    if call.keeping is not None and kept is not None:
        await call.keeping.whole(exchange, kept)
    exchange.count_out(len(held))
    exchange.record(200)
    await exchange.send({"type": "http.response.body", "body": held, "more_body": False})


async def relay_unread(exchange: Exchange, call: Call, headers: Headers, chunks: Chunks, watch: Watch) -> None:
    """Sound, every piece at once: only the end of the answer waits for its record."""
    endpoint = call.target.endpoint
    while chunk := await chunks.next():
        if not exchange.sent_head:
            watch.first_heard()
            await send_head(exchange, 200, headers)
        await send_chunk(exchange, chunk, watch)
    watch.close()
    if endpoint.made is not None:
        exchange.usage = made_usage(exchange, call, endpoint.made, None, whole=True)
    exchange.record(200)
    if exchange.sent_head:
        await exchange.send({"type": "http.response.body", "body": b"", "more_body": False})
    else:
        await exchange.answer(200, [*headers, (b"content-length", b"0")], b"")
