"""Scheduled work keeps the record's tables in order, however often it runs."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.db import connection
from django.utils.timezone import now

from apps.audit.models import RequestRecord
from apps.audit.spool import Spool
from apps.audit.tasks import partitions_ensure, spools_adopt
from apps.core.models import Change
from apps.core.tasks import changes_forget
from tests.audit.conftest import record


def partitions() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_requestrecord'::regclass"
        )
        return {name for (name,) in cursor.fetchall()}


@pytest.mark.django_db
def test_the_next_three_months_have_partitions() -> None:
    partitions_ensure()
    partitions_ensure()

    month = now().date().replace(day=1)
    for _ in range(4):
        assert f"audit_requestrecord_{month:%Y_%m}" in partitions()
        month = (month + timedelta(days=32)).replace(day=1)


@pytest.mark.django_db
def test_a_new_partition_has_every_index_of_the_table() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT audit_ensure_partitions('2031-05-01', '2031-05-01')")
        cursor.execute(
            "SELECT indrelid::regclass::text, count(*) FROM pg_index WHERE indisvalid AND"
            " indrelid IN ('audit_requestrecord'::regclass, 'audit_requestrecord_2031_05'::regclass) GROUP BY 1"
        )
        counts = dict(cursor.fetchall())

    assert counts["audit_requestrecord_2031_05"] == counts["audit_requestrecord"] == 14


@pytest.mark.django_db(transaction=True)
def test_a_worker_adopts_the_spools_of_dead_gateways(settings: Any, tmp_path: Path) -> None:
    settings.SPOOL_DIR = tmp_path / "spool"
    settings.DATABASE_URL = connection_url()
    assert spools_adopt() == 0  # there is no such folder yet
    with Spool(settings.SPOOL_DIR, max_bytes=1 << 20) as spool:
        for _ in range(3):
            spool.append(record())

    assert spools_adopt() == 1
    assert spools_adopt() == 0
    assert RequestRecord.objects.count() == 3


@pytest.mark.django_db
def test_changes_are_forgotten_after_a_day() -> None:
    Change.objects.all().delete()
    for hours in (1, 23, 25, 48):
        Change.objects.create(txid=1, kind="services_token", at=now() - timedelta(hours=hours))

    assert changes_forget() == 2
    assert changes_forget() == 0
    assert Change.objects.count() == 2


def test_every_scheduled_task_exists(settings: Any) -> None:
    current_app.loader.import_default_modules()

    assert {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()} <= set(current_app.tasks)


def connection_url() -> str:
    given = connection.settings_dict
    return f"postgresql:///{given['NAME']}?host={given['HOST']}&port={given['PORT']}&user={given['USER']}&password={given['PASSWORD']}"
