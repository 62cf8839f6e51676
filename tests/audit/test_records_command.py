"""`manage.py records` shows what happened, to people and to programs."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from apps.audit.models import RequestRecord
from apps.audit.tables import short_duration
from apps.orgs.models import Organization
from apps.services.models import Service
from tests.audit.test_selectors import made


def records(*arguments: str) -> str:
    out = StringIO()
    call_command("records", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def service(db: None) -> Service:
    organization = Organization.objects.create(name="Acme", slug="acme")
    return Service.objects.create(organization=organization, name="shop")


def of(service: Service, minutes_ago: float = 0, **fields: Any) -> RequestRecord:
    return made(minutes_ago, service_id=service.pk, organization_id=service.organization_id, **fields)


def test_the_newest_stands_at_the_end_of_an_aligned_table(service: Service) -> None:
    of(
        service,
        2,
        model_asked="gpt-5",
        input_tokens=1000,
        cache_read_tokens=200,
        output_tokens=7,
        cost_usd=Decimal("0.012"),
        first_byte_us=840_000,
    )
    of(
        service,
        1,
        status=502,
        error_code="upstream_failed",
        total_us=61_000_000,
        usage_estimated=True,
        output_tokens=3,
        cost_usd=Decimal("3.5"),
    )

    header, first, second = records().splitlines()

    assert header.split()[:6] == ["TIME", "(UTC)", "REQUEST", "SERVICE", "MODEL", "STATUS"]
    assert first.split()[3:] == ["shop", "gpt-5", "200", "-", "1200", "7", "$0.012", "840ms", "1µs"]
    assert second.split()[3:] == ["shop", "m", "502", "upstream_failed", "-", "~3", "~$3.50", "-", "1m01s"]
    assert header.index("STATUS") + len("STATUS") == first.index(" 200 ") + len(" 200")
    assert "\x1b" not in header + first + second


def test_json_lines_have_every_field(service: Service) -> None:
    record = of(service, attempts=[{"status": 200}])

    (line,) = records("--json").splitlines()

    shown = json.loads(line)
    assert shown.keys() == {"request_id", "service"} | {field.attname for field in RequestRecord._meta.concrete_fields}
    assert (shown["request_id"], shown["service"], shown["attempts"]) == (record.shown_id, "shop", [{"status": 200}])


def test_what_nobody_can_price_is_called_so_and_no_zero(service: Service) -> None:
    of(service, 3, flags=["unpriced"])
    of(service, 2, cost_usd=Decimal(0))
    of(service, 1, status=404)

    _header, unpriced, free, refused = records().splitlines()

    assert unpriced.split()[-3] == "unpriced"
    assert free.split()[-3] == "$0.00"
    assert refused.split()[-3] == "-"


def test_json_lines_have_money_as_text_to_the_last_digit(service: Service) -> None:
    of(service, cost_usd=Decimal("0.000123450001"))

    (line,) = records("--json").splitlines()

    assert json.loads(line)["cost_usd"] == "0.000123450001"


def test_filters_narrow_what_is_shown(service: Service) -> None:
    of(service, 90)
    failed = of(service, 5, status=404)
    made(1, model_asked="other")

    assert len(records("--json").splitlines()) == 3
    assert len(records("--json", "--since", "1h").splitlines()) == 2
    assert len(records("--json", "--limit", "1").splitlines()) == 1
    assert len(records("--json", "--org", "acme", "--service", "shop").splitlines()) == 2
    assert len(records("--json", "--model", "other").splitlines()) == 1
    assert failed.shown_id in records("--errors")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--org", "nobody"), "no organization 'nobody': there are acme"),
        (("--service", "nothing"), "no service 'nothing': there are shop"),
        (("--limit", "-1"), "--limit"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(
    service: Service, arguments: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(CommandError, match=sentence):
        records(*arguments)


@pytest.mark.parametrize(
    ("microseconds", "shown"),
    [(None, "-"), (0, "0µs"), (999, "999µs"), (1000, "1ms"), (999_499, "999ms"), (999_500, "1.00s"), (59_994_999, "59.99s"),
     (59_995_000, "1m00s"), (1_800_000_000, "30m00s")],
)  # fmt: skip
def test_lengths_of_time_are_short(microseconds: int | None, shown: str) -> None:
    assert short_duration(microseconds) == shown


@pytest.fixture
def shell(transactional_db: None) -> Iterator[Any]:
    """The command in a process of its own, on the tests' database."""
    given = connection.settings_dict
    host = f"host={given['HOST']}&port={given['PORT']}&user={given['USER']}&password={given['PASSWORD']}"
    environment = {
        **os.environ,
        "DATABASE_URL": f"postgresql:///{given['NAME']}?{host}",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, into: int = subprocess.PIPE) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            # As in a terminal: a suite that runs in the background has SIGINT ignored, and its children with it.
            ["env", "--default-signal=INT", sys.executable, "-u", "-m", "django", "records", *arguments],
            stdout=into, stderr=subprocess.PIPE, text=True, env=environment, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_following_shows_what_arrives_once_until_interrupted(shell: Any) -> None:
    ours: dict[str, Any] = {"model_asked": "followed"}  # other tests' gateways may have left records of theirs
    first = made(1, **ours)
    process = shell("--follow", "--json", "--model", "followed")
    shown = [json.loads(process.stdout.readline())["request_id"]]
    second = made(**ours)
    late = made(20, **ours)
    shown += [json.loads(process.stdout.readline())["request_id"] for _ in range(2)]
    third = made(**ours)
    shown.append(json.loads(process.stdout.readline())["request_id"])

    process.send_signal(signal.SIGINT)
    rest, complaints = process.communicate(timeout=10)

    assert shown == [first.shown_id, second.shown_id, late.shown_id, third.shown_id]
    assert (rest, complaints, process.returncode) == ("", "", 0)


def test_a_reader_that_has_seen_enough_ends_it_quietly(shell: Any) -> None:
    for _ in range(3):
        made()
    reading, writing = os.pipe()
    os.close(reading)
    process = shell(into=writing)
    os.close(writing)

    _, complaints = process.communicate(timeout=20)

    assert (complaints, process.returncode) == ("", 0)
