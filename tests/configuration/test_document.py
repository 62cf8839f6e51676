"""What is read as YAML, and what no file can do."""

from decimal import Decimal

import pytest

from apps.configuration.document import MAX_BYTES, MAX_DEPTH, MAX_VALUES, ConfigurationRefused, Node, read_document


def plain(node: Node) -> object:
    if isinstance(node.value, dict):
        return {name: plain(value) for name, value in node.value.items()}
    return [plain(item) for item in node.value] if isinstance(node.value, list) else node.value


def refusal(text: str) -> str:
    with pytest.raises(ConfigurationRefused) as refused:
        read_document(text.encode())
    return refused.value.text("f")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("12", 12),
        ("-3", -3),
        ("2.50", Decimal("2.50")),
        ("0.1", Decimal("0.1")),
        ("true", True),
        ("null", None),
        ("~", None),
        ("", None),
        # What YAML 1.1 takes for something else, and operators write as text.
        ("no", "no"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("2026-11-01", "2026-11-01"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("1e3", "1e3"),
        (".inf", ".inf"),
        ("'12'", "12"),
        ('"true"', "true"),
    ],
)
def test_words_mean_what_they_look_like(written: str, meant: object):
    found = plain(read_document(f"a: {written}\n".encode()))

    assert found == {"a": meant}
    assert isinstance(found, dict)
    assert type(found["a"]) is type(meant)


def test_values_know_their_lines_and_ways():
    root = read_document(b"a:\n  - b: 1\n  - b: 2\n")

    second = root.value["a"].value[1].value["b"]
    assert (second.line, second.path) == (3, "a[1].b")


def test_a_name_twice_is_refused_where_it_stands():
    assert refusal("a: 1\nb:\n  c: 1\n  c: 2\n") == "f:4: b.c: is there twice, first in line 3: keep one"


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("a: &x 1\nb: *x\n", 1, "anchors"),
        ("b: *x\n", 1, "anchors"),
        ("a: !!python/object/apply:os.system [id]\n", 1, "tags"),
        ("a: !!str 1\n", 1, "tags"),
        ("a: [1\n", 2, "not YAML"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("[a]: 1\n", 1, "name is expected"),
        ("a: \x07\n", 1, "not YAML"),
        ("", 1, "empty"),
        ("# nothing\n", 1, "empty"),
    ],
)
def test_what_is_not_read_is_refused(text: str, line: int, word: str):
    told = refusal(text)

    assert told.startswith(f"f:{line}: ")
    assert word in told


def test_a_billion_laughs_are_none():
    laughs = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )

    assert "anchors and aliases" in refusal(laughs)


def test_depth_number_and_size_are_bounded():
    assert read_document(("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)).encode())
    assert f"more than {MAX_DEPTH} deep" in refusal("[" * 100_000)
    assert "values" in refusal("[" + "1," * MAX_VALUES + "1]")
    assert "MB" in refusal("a" * (MAX_BYTES + 1))


def test_only_utf8_is_read():
    with pytest.raises(ConfigurationRefused, match="UTF-8"):
        read_document(b"a: \xff\n")
