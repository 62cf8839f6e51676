"""What providers tell, read so that nothing they may send is an error of ours. Pure."""

import re

from apps.providers.translation.form import Citation, Json

MESSAGE_MAX = 2000  # characters of a failure's message
_PAGE_MAX = 16 * 1024  # bytes of a page that are looked into
_TITLE = re.compile(r"<title[^>]*>([^<]{1,200})</title", re.IGNORECASE)
_TAG = re.compile(r"<(?:script|style)\b.*?</(?:script|style)>|<[^>]*>", re.DOTALL | re.IGNORECASE)


def text_of(value: object) -> str:
    """A string; empty for what is none."""
    return value if isinstance(value, str) else ""


def dicts(value: object) -> list[Json]:
    """The objects of a list; nothing of what is none."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def url_citation(said: object) -> Citation | None:
    """A citation of something with a URL, in OpenAI's words; None for anything else."""
    if not isinstance(said, dict) or not (url := text_of(said.get("url"))):
        return None
    start, end = said.get("start_index"), said.get("end_index")
    return Citation(
        url=url,
        title=text_of(said.get("title")),
        start=start if type(start) is int else None,
        end=end if type(end) is int else None,
    )


def plain_message(body: bytes) -> str:
    """What a refusal says that is no JSON: a text, or of a page its title, or else what can be read of it."""
    text = body[:_PAGE_MAX].decode(errors="replace").strip()
    if text.startswith("<"):
        title = _TITLE.search(text)
        text = title[1] if title else _TAG.sub(" ", text)
    return " ".join(text.split())[:MESSAGE_MAX]
