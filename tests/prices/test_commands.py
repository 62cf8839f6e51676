"""set_price, import_prices, export_prices and sync_prices as an operator uses them."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.utils.timezone import now

from tests.control.conftest import Run
from tests.prices.test_actions import usd_per_million

pytestmark = pytest.mark.django_db

HEAD = "provider,model,tier,above_input_tokens,effective_from,input,output\n"


@pytest.fixture
def written(tmp_path: Path) -> Any:
    def write(content: str | bytes, name: str = "prices.csv") -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def rows_of(organization: Any = None) -> int:
    from apps.providers.models import Price

    return Price.objects.filter(organization=organization).count()


class TestSetPrice:
    def test_a_price_is_set_and_shown_per_million_and_per_thousand(self, run: Run, acme: Any) -> None:
        ran = run(
            "set_price", "--provider=openai", "--model=house-model", "--org=acme", "--input=2", "--output=0.5",
            "--cached-input=0", "--from=2026-01-01",
        )  # fmt: skip
        assert ran.code == 0, ran.err
        assert ran.out.splitlines() == [
            "USD           per million  per thousand",
            "input                   2         0.002",
            "cached_input            0             0",
            "output                0.5        0.0005",
        ]
        assert usd_per_million(acme) == 2
        assert usd_per_million() is None

    def test_prices_can_be_given_per_thousand_or_per_one(self, run: Run) -> None:
        for per, amount in (("thousand", "0.002"), ("one", "0.000002")):
            ran = run(
                "set_price", "--provider=openai", f"--model=house-{per}", f"--input={amount}", f"--per={per}",
                "--from=2026-01-01",
            )  # fmt: skip
            assert ran.code == 0, ran.err
            assert usd_per_million(model=f"house-{per}") == 2

    @pytest.mark.parametrize(
        ("options", "code", "said"),
        [
            ((), 2, "at least one price"),
            (("--input=-1",), 2, "plain decimal"),
            (("--input=NaN",), 2, "plain decimal"),
            (("--input=Infinity",), 2, "plain decimal"),
            (("--input=1e3",), 2, "plain decimal"),
            (("--input=1_000",), 2, "plain decimal"),
            (("--input=2,5",), 2, "plain decimal"),
            (("--input=٣",), 2, "plain decimal"),
            (("--input=",), 2, "plain decimal"),
            (("--input=0.0000001",), 1, "--input: at most 6 decimals per million units"),
            (("--input=1000000001",), 1, "--input: at most 1000000000"),
            (("--input=1001", "--per=one"), 1, "--input: at most 1000000000"),
            (("--input=1", "--from=yesterday"), 2, "is not a date"),
            (("--input=1", "--from=0001-01-01"), 2, "out of range"),
            (("--input=1", "--tier=express"), 2, "invalid choice"),
            (("--input=1", "--above-input-tokens=-1"), 1, "above_input_tokens"),
            (("--input=1", "--above-input-tokens=99999999999"), 1, "above_input_tokens"),
            (("--input=1", "--above-input-tokens=100"), 1, "standard price first"),
            (("--input=1", "--org=nobody"), 1, "no organization"),
            (("--input=1", "--note=" + "x" * 400), 1, "note"),
        ],
    )
    def test_bad_input_is_refused_with_field_and_reason_and_nothing_is_saved(
        self, run: Run, options: tuple[str, ...], code: int, said: str
    ) -> None:
        before = rows_of()
        ran = run("set_price", "--provider=openai", "--model=house-model", *options)
        assert (ran.code, rows_of()) == (code, before)
        assert said in ran.err

    def test_ten_times_the_price_needs_trust(self, run: Run) -> None:
        words = ("set_price", "--provider=openai", "--model=gpt-4o-mini", "--output=6.1", "--input=0.15")
        ran = run(*words)
        assert ran.code == 1
        assert "output 0.6 → 6.1" in ran.err
        assert run(*words, "--trust").code == 0


class TestExportAndImport:
    @pytest.mark.parametrize("kind", ["csv", "json"])
    def test_what_is_exported_is_imported_again_without_a_change(self, run: Run, written: Any, kind: str) -> None:
        exported = run("export_prices", f"--format={kind}")
        assert exported.code == 0
        before = rows_of()
        ran = run("import_prices", written(exported.out))
        assert ran.code == 0, ran.err
        assert ran.out.strip() == f"0 added, 0 changed, {before} same, 0 unusual, 0 refused"
        assert rows_of() == before

    @pytest.mark.parametrize("kind", ["csv", "json"])
    def test_another_organization_takes_an_export_over_to_the_last_digit(
        self, run: Run, written: Any, acme: Any, kind: str
    ) -> None:
        exported = run("export_prices", f"--format={kind}", f"--at={now():%Y-%m-%d}")
        ran = run("import_prices", "--org=acme", written(exported.out))
        assert ran.code == 0, ran.err
        assert rows_of(acme) == rows_of()
        own = run("export_prices", "--org=acme", f"--format={kind}")
        assert own.out == exported.out

    def test_an_export_of_a_day_holds_what_applied_on_it(self, run: Run) -> None:
        for since, amount in (("2026-01-01", 1), ("2026-06-01", 2)):
            run("set_price", "--provider=openai", "--model=house-model", f"--input={amount}", f"--from={since}")
        for at, amount in (("2026-03-01", "1"), ("2026-06-01", "2")):
            exported = json.loads(run("export_prices", "--format=json", f"--at={at}").out)["prices"]
            assert [row["input"] for row in exported if row["model"] == "house-model"] == [amount]
        assert run("export_prices").out.count("house-model") == 2

    def test_a_dry_run_shows_every_row_and_changes_nothing(self, run: Run, written: Any) -> None:
        before = rows_of()
        file = written(
            HEAD
            + "openai,house-model,,,2026-01-01,2,8\n"
            + "openai,gpt-4o-mini,,,2026-01-01,0.2,0.6\n"
            + "openai,gpt-4o,,,2026-01-01,2.5,0.1\n"
            + "openai,gpt-4o,express,,2026-01-01,2.5,10\n"
            + "openai,house-model,batch,,2026-01-01,1,4\n"
        )
        ran = run("import_prices", file, "--dry-run")
        assert ran.code == 1
        lines = ran.out.splitlines()
        assert lines[-1] == "2 added, 1 changed, 0 same, 1 unusual, 1 refused"
        assert any(line.split()[:2] == ["2", "added"] for line in lines)
        assert any(line.split()[:2] == ["3", "changed"] and "input 0.15 → 0.2" in line for line in lines)
        assert any(line.split()[:2] == ["4", "unusual"] and "output 10 → 0.1" in line for line in lines)
        assert any(line.split()[:2] == ["5", "refused"] and "tier: empty" in line for line in lines)
        assert "Nothing was imported." in ran.err
        assert rows_of() == before

    def test_one_refused_row_keeps_all_out(self, run: Run, written: Any) -> None:
        before = rows_of()
        ran = run("import_prices", written(HEAD + "openai,house-model,,,,2,8\nopenai,house-other,,,,-2,8\n"))
        assert ran.code == 1
        assert "line 3: input: '-2' is not a price" in ran.err
        assert rows_of() == before

    @pytest.mark.parametrize(("unit", "factor"), [("per_thousand", 1000), ("per_token", 1_000_000)])
    def test_a_file_in_another_unit_is_found_out_and_imported_once_the_unit_is_said(
        self, run: Run, written: Any, acme: Any, unit: str, factor: int
    ) -> None:
        from decimal import Decimal

        def amount(price: str) -> str:
            return format(Decimal(price) / factor, "f")

        file = written(
            HEAD
            + f"openai,gpt-4o-mini,,,2026-01-01,{amount('0.15')},{amount('0.6')}\n"
            + f"openai,gpt-4o,,,2026-01-01,{amount('2.5')},{amount('10')}\n"
            + f"house,llama,,,2026-01-01,{amount('1')},{amount('3')}\n"
        )
        ran = run("import_prices", "--org=acme", file)
        assert ran.code == 1
        assert f"looks like {unit}" in ran.err
        assert rows_of(acme) == 0
        ran = run("import_prices", "--org=acme", file, f"--unit={unit}")
        assert ran.code == 0, ran.err
        assert rows_of(acme) == 3
        own = json.loads(run("export_prices", "--org=acme", "--format=json").out)["prices"]
        assert [(row["model"], row["input"], row["output"]) for row in own] == [
            ("llama", "1", "3"),
            ("gpt-4o", "2.5", "10"),
            ("gpt-4o-mini", "0.15", "0.6"),
        ]

    def test_prices_per_million_that_are_said_to_be_per_token_are_found_out(
        self, run: Run, written: Any, acme: Any
    ) -> None:
        ran = run("import_prices", "--org=acme", written(HEAD + "openai,gpt-4o,,,,2.5,10\n"), "--unit=per_token")
        assert ran.code == 1
        assert "looks like per_million" in ran.err

    def test_a_row_may_say_its_own_unit(self, run: Run, written: Any) -> None:
        file = written(
            '[{"provider": "openai", "model": "house-model", "unit": "per_thousand", "input": 0.002,'
            ' "effective_from": "2026-01-01"}]'
        )
        assert run("import_prices", file).code == 0
        assert usd_per_million() == 2

    def test_unusual_prices_need_trust(self, run: Run, written: Any) -> None:
        file = written(HEAD + "openai,gpt-4o-mini,,,2026-01-01,1.6,0.6\n")
        ran = run("import_prices", file)
        assert ran.code == 1
        assert "input 0.15 → 1.6" in ran.err
        assert run("import_prices", file, "--trust").code == 0

    def test_another_price_of_the_same_time_needs_replace(self, run: Run, written: Any) -> None:
        first, second = (HEAD + f"openai,house-model,,,2026-01-01,{amount},8\n" for amount in (2, 3))
        assert run("import_prices", written(first)).code == 0
        ran = run("import_prices", written(second))
        assert ran.code == 1
        assert "there is a price from this time on (input 2 → 3)" in ran.err
        assert run("import_prices", written(second), "--replace").code == 0
        assert usd_per_million() == 3

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "no prices"),
            (HEAD.encode(), "no prices"),
            (b"\xff\xfe\x00", "not UTF-8"),
            (b"provider,model,inptu\nopenai,x,1\n", "Unknown column 'inptu'"),
            (b"provider,model,input,input\nopenai,x,1,2\n", "input occurs twice"),
            (b"provider,input\nopenai,1\n", "column model is missing"),
            (b"provider,model,input\nopenai,x\n", "Line 2 has 2 cells"),
            (b'provider,model,input\nopenai,"x,1\n', "is not CSV"),
            (b"provider,model,input\nopenai,x,\n", "no price at all"),
            (b"provider,model,input\nopenai,x,1\nopenai,x,2\n", "repeats line 2"),
            (b"provider,model,input\nopenai,x,1e3\n", "not a price"),
            (b"provider,model,input\nopenai,x,NaN\n", "not a price"),
            (b"provider,model,input\nopenai,x,2.0000001\n", "6 decimals"),
            (b"provider,model,input\nopenai,x,99999999999\n", "at most 1000000000"),
            (b"provider,model,input,unit\nopenai,x,1,per_dozen\n", "unit: one of"),
            (b"provider,model,input,above_input_tokens\nopenai,x,1,-5\n", "above_input_tokens"),
            (b"provider,model,input,above_input_tokens\nopenai,x,1,3000000000\n", "above_input_tokens"),
            (b"provider,model,input,effective_from\nopenai,x,1,soon\n", "is not a date"),
            (b"provider,model,input,effective_from\nopenai,x,1,9999-12-31T23:59:59-23:00\n", "out of range"),
            ("provider,model,input,note\nopenai,x,1,{}\n".format("y" * 301).encode(), "note: at most 300"),
            (b"provider,model,input\nOpen AI,x,1\n", "provider: small letters"),
            (b"provider,model,input\nopenai,two words,1\n", "model: letters"),
            (b"provider,model,tier,input\nopenai,x,batch,1\n", "standard price first"),
            (b"{", "not JSON"),
            (b"[1]", "Entry 1 is not an object"),
            (b"{}", "no list of prices"),
            (b'{"prices": [], "currency": "EUR"}', "Unknown fields currency"),
            (b'[{"provider": "openai", "model": "x", "input": 1, "input": 2}]', "occurs twice"),
            (b'[{"provider": "openai", "model": "x", "input": NaN}]', "not a price"),
            (b'[{"provider": "openai", "model": "x", "input": 1e3}]', "not a price"),
            (b'[{"provider": "openai", "model": "x", "input": true}]', "neither text nor a number"),
            (b"[" * 100_000, "not JSON"),
        ],
    )  # fmt: skip
    def test_a_file_that_is_not_right_is_refused_whole_with_a_reason(
        self, run: Run, written: Any, content: bytes, said: str
    ) -> None:
        before = rows_of()
        ran = run("import_prices", written(content))
        assert ran.code == 1
        assert said in ran.err
        assert rows_of() == before

    def test_a_file_too_large_or_missing_is_refused(self, run: Run, written: Any) -> None:
        assert "larger than" in run("import_prices", written(b"x" * 10_000_001)).err
        assert "cannot be read" in run("import_prices", "/nowhere/prices.csv").err

    def test_prices_come_from_standard_input(self, run: Run) -> None:
        ran = run("import_prices", "-", stdin=HEAD + "openai,house-model,,,2026-01-01,2,8\n")
        assert ran.code == 0, ran.err
        assert usd_per_million() == 2


def test_syncing_tells_what_it_added(run: Run) -> None:
    assert run("sync_prices").out == "Added 0 prices.\n"
