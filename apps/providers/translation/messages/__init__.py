"""Anthropic's Messages. Pure.

`reading` and `writing` are requests, `answers` whole answers, `stream_reader` and `stream_writer` streams, `errors` failures.
"""

from apps.providers.translation.messages.answers import read_answer, write_answer
from apps.providers.translation.messages.errors import read_error
from apps.providers.translation.messages.reading import read_request
from apps.providers.translation.messages.stream_reader import MessagesReader
from apps.providers.translation.messages.stream_writer import MessagesWriter
from apps.providers.translation.messages.words import NAME, TITLE
from apps.providers.translation.messages.writing import write_request
from apps.providers.translation.spoken import Spoken

SPOKEN = Spoken(
    name=NAME,
    title=TITLE,
    read_request=read_request,
    write_request=write_request,
    read_answer=read_answer,
    write_answer=write_answer,
    stream_reader=MessagesReader,
    stream_writer=MessagesWriter,
    read_error=read_error,
)
