"""Two operators at the same time: prices are written once, and nobody sees half of them."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from apps.core.actor import Actor
from apps.providers.prices.documents import read_prices

JUNE = datetime(2026, 6, 1, tzinfo=UTC)
FILE = "provider,model,tier,input\n" + "".join(
    f"openai,house-{n},{tier},1\n" for n in range(50) for tier in ("", "batch")
)


def at_once(*jobs: Callable[[], object]) -> list[object]:
    """What each job returned, or the ValidationError that it raised; all start together, each on a connection of its own."""
    from django.db import connection

    barrier = threading.Barrier(len(jobs))
    ended: list[object] = [None] * len(jobs)

    def do(position: int, job: Callable[[], object]) -> None:
        barrier.wait()
        try:
            ended[position] = job()
        except ValidationError as error:
            ended[position] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=do, args=pair) for pair in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ended


@pytest.mark.django_db(transaction=True)
def test_of_two_imports_of_one_file_one_adds_everything_and_the_other_nothing(actor: Actor) -> None:
    from apps.providers.models import Price
    from apps.providers.prices.actions import prices_import

    def load() -> Any:
        lines = read_prices(FILE.encode(), unit="per_million", effective_from=JUNE)
        return prices_import(organization=None, lines=lines, actor=actor)

    found: list[Any] = at_once(*[load] * 4)
    assert sorted((review.count("added"), review.count("same")) for review in found) == [(0, 100)] * 3 + [(100, 0)]
    assert Price.objects.filter(model__startswith="house-").count() == 100


@pytest.mark.django_db(transaction=True)
def test_of_two_prices_from_the_same_time_one_is_set(actor: Actor) -> None:
    from apps.providers.models import Price
    from apps.providers.prices.actions import price_set

    def setter(amount: int) -> Callable[[], object]:
        return lambda: price_set(
            organization=None,
            provider="openai",
            model="house",
            prices={"input": Decimal(amount)},
            effective_from=JUNE,
            actor=actor,
        )

    found = at_once(*[setter(amount) for amount in range(1, 6)])
    assert sum(isinstance(one, ValidationError) for one in found) == 4
    assert Price.objects.filter(model="house").count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_installations_starting_on_one_database_seed_it_once() -> None:
    from django.db import connection

    from apps.providers.models import Price
    from apps.providers.prices.actions import prices_sync
    from apps.providers.prices.seed import seed_rows

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE providers_price")
    found: list[Any] = at_once(prices_sync, prices_sync)
    assert sorted(synced.added for synced in found) == [0, len(seed_rows())]
    assert Price.objects.count() == len(seed_rows())
