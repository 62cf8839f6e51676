"""Citations in Anthropic's words: where in which source, and what it says there. Pure."""

from typing import Any

from apps.providers.translation.form import Citation
from apps.providers.translation.told import text_of


def read_citation(raw: object, start: int | None = None, end: int | None = None) -> Citation | None:
    """A location as a citation for the text from `start` to `end`; None if it is none."""
    if not isinstance(raw, dict):
        return None
    found = Citation(
        url=text_of(raw.get("url")) or _address(text_of(raw.get("source"))),
        title=text_of(raw.get("title")) or text_of(raw.get("document_title")),
        quoted=text_of(raw.get("cited_text")),
        start=start,
        end=end,
    )
    return found if found.url or found.title or found.quoted else None


def read_citations(raw: object, start: int | None = None, end: int | None = None) -> list[Citation]:
    """The citations of a text block."""
    if not isinstance(raw, list):
        return []
    return [found for each in raw if (found := read_citation(each, start, end)) is not None]


def citation_json(citation: Citation) -> dict[str, Any] | None:
    """A citation as something found on the web; None without an address, as other locations point into the request."""
    if not citation.url:
        return None
    return {
        "type": "web_search_result_location",
        "url": citation.url,
        "title": citation.title or None,
        "cited_text": citation.quoted,
        "encrypted_index": "",
    }


def _address(source: str) -> str:
    """A search result's source, if it is an address: it may be anything."""
    return source if source.startswith(("https://", "http://")) else ""
