"""What a form asks for."""

import orjson

from apps.core.errors import MissingParameter
from apps.gateway import stages
from apps.gateway.exchange import Exchange
from apps.gateway.surfaces import Target
from apps.gateway.uploads.form import Form
from apps.gateway.uploads.sound import NEEDED, sound
from apps.providers.dialects.heads import Head
from apps.providers.dialects.openai_forms import TranscriptionHead, read_form_head

_PICTURES = ("image", "image[]")


async def parse_form(exchange: Exchange, target: Target, form: Form) -> tuple[Head, bytes]:
    """The fields we decide on, checked; and all fields as JSON, to be weighed. Raises BadRequest, UploadsUnavailable."""
    fields, files = form.fields(), form.files()
    head = read_form_head(fields, {part.head.name for part in files}, target.endpoint.name)
    if isinstance(head, TranscriptionHead):
        part = form.only_file("file")
        first, last = await form.content(part, 0, NEEDED), await form.content(part, max(0, part.size - NEEDED), NEEDED)
        found = sound(first, last, part.size)
        head.seconds, head.seconds_most = found.likely, found.most
    else:
        head.given = len(files)
        if not form.files(*_PICTURES):
            raise MissingParameter("Send the picture as the file 'image'.", param="image")
    exchange.stream = bool(head.stream)
    stages.note(exchange, target, head)
    return head, orjson.dumps(fields)
