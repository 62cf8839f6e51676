"""What is kept of large answers: all that fits, or JSON of the same shape whose long strings are empty, however it is cut."""

import itertools
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from apps.gateway.keeping import Keeper, Outline, Whole
from apps.providers.usage import Usage, read_images

TEXTS = st.one_of(st.text(max_size=20), st.text(alphabet='"\\\n\té/ab', max_size=40), st.just("A" * 5_000))
DOCUMENTS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=10,
)


def fed(keeper: Keeper, data: bytes, cuts: list[int]) -> bytes | None:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(places):
        keeper.feed(data[start:end])
    return keeper.kept()


def emptied(value: Any, *, ascii_only: bool) -> Any:
    def kept(text: str) -> str:
        size = len(json.dumps(text, ensure_ascii=ascii_only).encode()) - 2
        return text if size <= 512 else ""

    match value:
        case str():
            return kept(value)
        case list():
            return [emptied(each, ascii_only=ascii_only) for each in value]
        case dict():
            return {kept(name): emptied(each, ascii_only=ascii_only) for name, each in value.items()}
    return value


@given(document=DOCUMENTS, cuts=st.lists(st.integers(0, 10_000), max_size=8), ascii_only=st.booleans())
def test_an_outline_is_the_document_without_its_long_strings_wherever_it_is_cut(
    document: Any, cuts: list[int], ascii_only: bool
) -> None:
    data = json.dumps(document, ensure_ascii=ascii_only).encode()
    outline = fed(Outline(), data, cuts)
    assert outline is not None
    assert json.loads(outline) == emptied(document, ascii_only=ascii_only)


@given(document=DOCUMENTS, cuts=st.lists(st.integers(0, 10_000), max_size=8))
def test_a_whole_answer_is_kept_as_it_came(document: Any, cuts: list[int]) -> None:
    data = json.dumps(document).encode()
    assert fed(Whole(), data, cuts) == data


def test_too_much_of_either_is_not_kept() -> None:
    piece = b"[1234567]," * 100_000
    outline, whole = Outline(), Whole()
    for _ in range(40):
        outline.feed(piece)
        whole.feed(piece)
    assert outline.kept() is None
    assert whole.kept() is None


def test_usage_is_found_in_the_outline_of_a_large_answer() -> None:
    usage = {"input_tokens": 5, "output_tokens": 100, "total_tokens": 105}
    answer = {"data": [{"b64_json": "QUJD" * 500_000}, {"url": "https://host/picture"}], "usage": usage}
    outline = fed(Outline(), json.dumps(answer).encode(), [*range(0, 2_000_000, 65_536)])
    assert outline is not None
    assert len(outline) < 500
    assert read_images(outline).usage == Usage(input=5, image_output=100, images=2)
