"""Routes that fail are shown as labels, of which there are never more than so many."""

from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY

from apps.gateway import metrics


@pytest.fixture(autouse=True)
def nothing_shown() -> Iterator[None]:
    metrics._routes.clear()
    metrics._route_open.clear()
    yield
    metrics._routes.clear()
    metrics._route_open.clear()


def shown() -> dict[tuple[str, str], float]:
    (family,) = [each for each in REGISTRY.collect() if each.name == "tollgate_route_open"]
    return {(sample.labels["credential"], sample.labels["model"]): sample.value for sample in family.samples}


def test_what_fails_is_shown_and_what_has_recovered_is_0() -> None:
    metrics.show_routes([("main", "openai", "gpt-4o", 1.0), ("spare", "openai", "", 0.5)])
    assert shown() == {("main", "gpt-4o"): 1.0, ("spare", "all"): 0.5}
    metrics.show_routes([("spare", "openai", "", 1.0)])
    assert shown() == {("main", "gpt-4o"): 0.0, ("spare", "all"): 1.0}


def test_however_many_fail_the_labels_are_bounded() -> None:
    metrics.show_routes((f"c{number}", "openai", "m", 0.5 + number / 10_000) for number in range(1000))
    found = shown()
    assert len(found) == 201
    assert found["other", "other"] == pytest.approx(0.5999)
    metrics.show_routes([])
    assert set(shown().values()) == {0.0}
    metrics.show_routes([("new", "openai", "m", 1.0), ("c1", "openai", "m", 1.0)])
    assert (shown()["other", "other"], shown()["c1", "m"]) == (1.0, 1.0)
    assert len(shown()) == 201
