"""What an answer is grounded in. Gemini counts in bytes of UTF-8, the canonical form in characters. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from apps.providers.translation.form import Citation, Json
from apps.providers.translation.told import text_of


@dataclass(frozen=True, slots=True)
class Grounded:
    """A citation as Gemini tells it: for bytes of the part `part`, or of the whole text if that is None."""

    citation: Citation
    start: int | None = None
    end: int | None = None
    part: int | None = None


def grounded(candidate: Mapping[str, Any]) -> Iterator[Grounded]:
    """What the candidate's grounding and citations say. A source that no piece of text is named for is cited without one."""
    grounding = _object(candidate.get("groundingMetadata"))
    chunks = [_source(chunk) for chunk in _objects(grounding.get("groundingChunks"))]
    used = set()
    for support in _objects(grounding.get("groundingSupports")):
        segment = _object(support.get("segment"))
        end = _index(segment.get("endIndex"))
        indices = support.get("groundingChunkIndices")
        for index in indices if isinstance(indices, list) else ():
            if isinstance(index, int) and 0 <= index < len(chunks) and (source := chunks[index]) is not None:
                used.add(index)
                start = None if end is None else _index(segment.get("startIndex")) or 0
                yield Grounded(_citation(source), start, end, _index(segment.get("partIndex")))
    for index, source in enumerate(chunks):
        if source is not None and index not in used:
            yield Grounded(_citation(source))
    cited = _object(candidate.get("citationMetadata"))
    for each in _objects(cited.get("citations") or cited.get("citationSources")):
        if uri := text_of(each.get("uri")):
            end = _index(each.get("endIndex"))
            start = None if end is None else _index(each.get("startIndex")) or 0
            yield Grounded(Citation(url=uri, title=text_of(each.get("title"))), start, end)


class Measure:
    """Places in a text, as characters and as bytes."""

    __slots__ = ("_bytes", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._bytes = None if text.isascii() else text.encode(errors="replace")

    def characters(self, place: int) -> int:
        """Of a place in bytes; within the text."""
        if self._bytes is None:
            return min(place, len(self._text))
        return len(self._bytes[:place].decode(errors="ignore"))

    def octets(self, place: int) -> int:
        """Of a place in characters; within the text."""
        if self._bytes is None:
            return min(place, len(self._text))
        return len(self._text[:place].encode(errors="replace"))

    def between(self, start: int, end: int) -> str:
        """The characters from one place to another."""
        return self._text[start:end]

    def placed(self, found: Grounded, offset: int = 0) -> Citation:
        """The citation with its place, if it has one; `offset`: characters of the text before this one."""
        citation = found.citation
        if found.start is not None and found.end is not None:
            citation.start = offset + self.characters(found.start)
            citation.end = max(citation.start, offset + self.characters(found.end))
        return citation


def grounding_metadata(citations: Iterable[tuple[Citation, Measure, int | None]]) -> Json:
    """Citations, each with the text that its place is in, and the part that this text is, as Gemini tells them."""
    sources: dict[tuple[str, str, str], int] = {}
    chunks: list[Json] = []
    supports: list[Json] = []
    for citation, measure, part in citations:
        key = (citation.url, citation.title, "" if citation.url else citation.quoted)
        index = sources.setdefault(key, len(sources))
        if index == len(chunks):
            chunks.append(_chunk(citation))
        if citation.start is not None and citation.end is not None:
            segment: Json = {
                "startIndex": measure.octets(citation.start),
                "endIndex": measure.octets(citation.end),
                "text": measure.between(citation.start, citation.end),
            }
            if part:
                segment["partIndex"] = part
            supports.append({"segment": segment, "groundingChunkIndices": [index]})
    return {"groundingChunks": chunks, "groundingSupports": supports}


def _chunk(citation: Citation) -> Json:
    if citation.url:
        return {"web": {"uri": citation.url, "title": citation.title or citation.url}}
    return {"retrievedContext": {"title": citation.title, "text": citation.quoted}}


def _source(chunk: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What a chunk that texts are grounded in says of itself."""
    for kind in ("web", "retrievedContext", "maps", "image"):
        source = chunk.get(kind)
        if isinstance(source, dict):
            return source
    return None


def _citation(source: Mapping[str, Any]) -> Citation:
    url = text_of(source.get("uri")) or text_of(source.get("sourceUri"))
    return Citation(url=url, title=text_of(source.get("title")) or url, quoted=text_of(source.get("text")))


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[dict[str, Any]]:
    return [each if isinstance(each, dict) else {} for each in value] if isinstance(value, list) else []


def _index(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None
