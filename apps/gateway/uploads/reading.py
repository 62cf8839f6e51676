"""Taking a form from the client, as fast as the disk takes it and no faster."""

import asyncio
from collections.abc import AsyncIterator

from apps.core.errors import BodyTooLarge, ClientClosed, GatewayError, RequestTimeout, UnsupportedEncoding
from apps.gateway.exchange import Exchange
from apps.gateway.uploads.disk import UploadDisk
from apps.gateway.uploads.form import Form
from apps.gateway.uploads.multipart import boundary_of

# A client that sends nothing more of its body for this long has gone or means no good.
_SILENCE = 60.0
_CLOSE = (b"connection", b"close")


async def read_form(exchange: Exchange, disk: UploadDisk) -> Form:
    """The whole form, refused as soon as it is too large; to be closed by the caller.

    Raises InvalidForm, BodyTooLarge, RequestTimeout, UnsupportedEncoding, UploadsUnavailable, ClientClosed.
    """
    limit = exchange.config.max_upload_bytes
    headers = exchange.headers
    if headers.get(b"content-encoding", b"identity").lower() not in (b"identity", b""):
        raise UnsupportedEncoding
    boundary = boundary_of(headers.get(b"content-type", b""))
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    form = Form(boundary, disk)
    is_whole = False
    try:
        async for piece in _pieces(exchange, limit):
            await form.feed(piece)
        is_whole = True
        form.finish()
    except GatewayError as error:
        form.close()
        if not is_whole and _CLOSE not in error.headers:  # what is still to come is not taken
            error.headers = (*error.headers, _CLOSE)
        raise
    except BaseException:
        form.close()
        raise
    return form


async def _pieces(exchange: Exchange, limit: int) -> AsyncIterator[bytes]:
    more = True
    while more:
        try:
            async with asyncio.timeout(_SILENCE):
                message = await exchange.receive()
        except TimeoutError as exc:
            raise RequestTimeout from exc
        if message["type"] == "http.disconnect":
            raise ClientClosed
        body: bytes = message.get("body", b"")
        exchange.body_size += len(body)
        if exchange.body_size > limit:
            raise _too_large(limit)
        yield body
        more = message.get("more_body", False)


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The request body is larger than {limit} bytes (MAX_UPLOAD_BYTES).", headers=(_CLOSE,))
