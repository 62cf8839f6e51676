"""OpenAI's Responses, as clients speak it to models of any provider, and as the upstream of models that have nothing else. Pure.

Facts: OpenAI's API reference, its SDKs, and what Codex sends. No response is ever stored: each request brings its whole input.
"""

from apps.providers.translation.form import Request
from apps.providers.translation.responses.answers import read_answer
from apps.providers.translation.responses.errors import read_error
from apps.providers.translation.responses.names import NAME, TITLE
from apps.providers.translation.responses.reading import read_request
from apps.providers.translation.responses.replies import write_answer
from apps.providers.translation.responses.stream_reader import ResponsesReader
from apps.providers.translation.responses.stream_writer import ResponsesWriter
from apps.providers.translation.responses.writing import write_request
from apps.providers.translation.spoken import Spoken


def _stream_reader(_request: Request) -> ResponsesReader:
    return ResponsesReader()


SPOKEN = Spoken(
    name=NAME,
    title=TITLE,
    read_request=read_request,
    write_request=write_request,
    read_answer=read_answer,
    write_answer=write_answer,
    stream_reader=_stream_reader,
    stream_writer=ResponsesWriter,
    read_error=read_error,
)
