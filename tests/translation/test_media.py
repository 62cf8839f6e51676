"""Pictures, sound and documents in JSON: what a data URL holds, and what of a document is plain text."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.providers.translation.media import data_url, plain_text, split_data_url, type_by_name


@given(st.sampled_from(["image/png", "application/pdf", "text/plain"]), st.binary(max_size=60))
def test_a_data_url_is_split_into_what_it_was_made_of(media_type: str, content: bytes) -> None:
    data = base64.b64encode(content).decode()
    assert split_data_url(data_url(media_type, data)) == (media_type, data)


@pytest.mark.parametrize(
    ("url", "found", "quoted"),
    [
        ("DATA:image/PNG;Base64,AAAA", ("image/png", "AAAA"), ("image/png", "AAAA")),
        ("data:text/plain;charset=utf-8;base64,SGk=", ("text/plain", "SGk="), ("text/plain", "SGk=")),
        ("data:;base64,AAAA", ("", "AAAA"), ("", "AAAA")),
        ("data:image/svg+xml,%3Csvg%2F%3E", None, ("image/svg+xml", base64.b64encode(b"<svg/>").decode())),
        ("data:image/png;base64", None, None),
        ("https://a.example/;base64,AAAA", None, None),
        ("", None, None),
    ],
)
def test_which_urls_hold_what_they_are_for(url: str, found: object, quoted: object) -> None:
    assert split_data_url(url) == found
    assert split_data_url(url, quoted=True) == quoted


@given(st.text(max_size=300))
def test_any_text_is_a_data_url_or_none(url: str) -> None:
    for text in (url, f"data:{url}", f"data:text/plain;base64,{url}"):
        split_data_url(text, quoted=True)


def test_text_is_read_of_base64_that_is_broken_into_lines() -> None:
    lines = base64.encodebytes(("Good morning. " * 20).encode()).decode()
    assert "\n" in lines.strip()
    assert plain_text("text/plain", lines) == "Good morning. " * 20
    assert plain_text("text/plain; charset=utf-8", "SGk=") == "Hi"
    for data in ("ä", "SGk", "/w==", "not base64"):
        assert plain_text("text/plain", data) is None
    assert plain_text("application/pdf", "SGk=") is None


def test_a_files_name_tells_its_type() -> None:
    assert [type_by_name(name) for name in ("a.PDF", "b.c.csv", "readme", "")] == [
        "application/pdf",
        "text/csv",
        "application/pdf",
        "application/pdf",
    ]
