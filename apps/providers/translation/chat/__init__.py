"""OpenAI's Chat Completions, and what the many providers that speak it make of it. Pure.

`*_read` read what comes, `*_written` write what goes, from and into `apps.providers.translation.form`.
"""

from apps.providers.translation.chat.answers_read import read_answer
from apps.providers.translation.chat.answers_written import write_answer
from apps.providers.translation.chat.errors import read_error
from apps.providers.translation.chat.requests_read import read_request
from apps.providers.translation.chat.requests_written import write_request
from apps.providers.translation.chat.stream_reader import ChatStreamReader
from apps.providers.translation.chat.stream_writer import ChatStreamWriter
from apps.providers.translation.chat.thoughts import NAME
from apps.providers.translation.spoken import Spoken

SPOKEN = Spoken(
    name=NAME,
    title="OpenAI's Chat Completions",
    read_request=read_request,
    write_request=write_request,
    read_answer=read_answer,
    write_answer=write_answer,
    stream_reader=ChatStreamReader,
    stream_writer=ChatStreamWriter,
    read_error=read_error,
)
