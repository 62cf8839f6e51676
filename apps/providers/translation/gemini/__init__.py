"""Gemini's generateContent, and streamGenerateContent: requests, answers, streams and errors, read and written."""

from apps.providers.translation.gemini.answers import read_answer, read_error, write_answer
from apps.providers.translation.gemini.kept import NAME
from apps.providers.translation.gemini.reader import GeminiReader
from apps.providers.translation.gemini.reading import read_request
from apps.providers.translation.gemini.writer import GeminiWriter, array_of
from apps.providers.translation.gemini.writing import write_request
from apps.providers.translation.spoken import Spoken

SPOKEN = Spoken(
    name=NAME,
    title="Gemini's generateContent",
    read_request=read_request,
    write_request=write_request,
    read_answer=read_answer,
    write_answer=write_answer,
    stream_reader=GeminiReader,
    stream_writer=GeminiWriter,
    read_error=read_error,
)

__all__ = ["SPOKEN", "array_of"]
