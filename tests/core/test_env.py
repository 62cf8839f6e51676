"""The one door to the environment: typed, loud, and silent about values."""

import traceback
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from apps.core.env import boolean, env, log_level, networks, path, seconds, size, text, whole, words
from apps.core.sealing import Keyring

NAME = "TOLLGATE_TEST_VALUE"
PARSERS: list[Callable[[str], Any]] = [boolean, log_level, networks, seconds, size, whole, Keyring.parse]


@pytest.mark.parametrize(
    ("parse", "raw", "value"),
    [
        (text, " as it is ", " as it is "),
        (boolean, "true", True),
        (boolean, "False", False),
        (seconds, "60", 60.0),
        (seconds, "0.5", 0.5),
        (whole, "0", 0),
        (whole, "8000", 8000),
        (size, "1048576", 1 << 20),
        (size, "512K", 512 << 10),
        (size, "32m", 32 << 20),
        (size, "2G", 2 << 30),
        (words, "a, b,,c ", ["a", "b", "c"]),
        (words, ",", []),
        (networks, "10.0.0.0/8, ::1", (ip_network("10.0.0.0/8"), ip_network("::1/128"))),
        (networks, "10.1.2.3/8", (ip_network("10.0.0.0/8"),)),
        (log_level, "Warning", "WARNING"),
        (path, "/srv/../data", Path("/data")),
        (path, "~/data", Path.home() / "data"),
    ],
)
def test_each_kind_of_value_is_read(
    parse: Callable[[str], Any], raw: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, raw)
    assert env(NAME, parse) == value


@pytest.mark.parametrize(
    ("parse", "raw"),
    [
        (boolean, "yes"),
        (boolean, "1"),
        (seconds, "0"),
        (seconds, "-1"),
        (seconds, "nan"),
        (seconds, "inf"),
        (seconds, "soon"),
        (whole, "-1"),
        (whole, "1.5"),
        (whole, "٣"),
        (size, "0"),
        (size, "K"),
        (size, "32MB"),
        (size, "-1M"),
        (networks, "10.0.0.0/33"),
        (networks, "example.com"),
        (log_level, "loud"),
        (Keyring.parse, "k1:secretsecret"),
    ],
)
def test_a_value_of_another_kind_is_refused_by_name_with_what_is_expected(
    parse: Callable[[str], Any], raw: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, raw)
    with pytest.raises(ImproperlyConfigured, match=rf"^{NAME}: expected \w"):
        env(NAME, parse)


@pytest.mark.parametrize("parse", PARSERS)
def test_a_secret_in_the_wrong_variable_stays_out_of_the_whole_traceback(
    parse: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, "sk-very-secret")
    with pytest.raises(ImproperlyConfigured) as caught:
        env(NAME, parse)
    assert "sk-very-secret" not in "".join(traceback.format_exception(caught.value))


def test_a_missing_value_is_refused_with_both_ways_to_set_it() -> None:
    with pytest.raises(ImproperlyConfigured, match=f"{NAME} is required: set it, or {NAME}_FILE"):
        env(NAME, text)


def test_an_empty_value_counts_as_unset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(NAME, "")
    assert env(NAME, whole, "7") == 7
    with pytest.raises(ImproperlyConfigured, match="required"):
        env(NAME, whole)

    monkeypatch.setenv(f"{NAME}_FILE", "")
    assert env(NAME, whole, "7") == 7

    empty = tmp_path / "empty"
    empty.write_text("\n")
    monkeypatch.setenv(f"{NAME}_FILE", str(empty))
    assert env(NAME, whole, "7") == 7
    with pytest.raises(ImproperlyConfigured, match="required"):
        env(NAME, whole)


def test_a_default_takes_the_same_path_as_a_value() -> None:
    assert env(NAME, size, "1K") == 1024
    assert env(NAME, words, "") == []
    with pytest.raises(ImproperlyConfigured, match=f"{NAME}: expected a size in bytes"):
        env(NAME, size, "large")


def test_a_file_holds_the_value_and_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    held = tmp_path / "value"
    held.write_text("from the file\n")
    monkeypatch.setenv(NAME, "from the variable")
    monkeypatch.setenv(f"{NAME}_FILE", str(held))
    assert env(NAME, text) == "from the file"


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["missing", "not text"])
def test_a_file_that_cannot_be_read_is_named_by_its_variable(
    content: bytes | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    held = tmp_path / "value"
    if content is not None:
        held.write_bytes(content)
    monkeypatch.setenv(f"{NAME}_FILE", str(held))
    with pytest.raises(ImproperlyConfigured, match=f"^{NAME}_FILE: the file it names cannot be read$"):
        env(NAME, text)
