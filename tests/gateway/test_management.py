"""The two planes of one process: whose keys open which, what a rotation means to the gateway, exports as they are really served."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
from django.utils.timezone import now

from tests.support.gateway import eventually

if TYPE_CHECKING:
    from tests.support.gateway import GatewayProcess
    from tests.support.provider import FakeProvider
    from tests.support.tenant import Tenant

CHAT = {"model": "gpt-test", "messages": [{"role": "user", "content": "Hi"}]}
SOON = 1.0  # seconds


def managing(acme: "Tenant") -> httpx.Client:
    """A client of the REST API, with a key that may do everything."""
    from apps.orgs.keys.actions import key_issue
    from apps.orgs.roles import Permission
    from tests.support.tenant import ACTOR

    _key, plaintext = key_issue(
        organization=acme.organization,
        name="tests",
        permissions=list(Permission),
        most=frozenset(Permission),
        actor=ACTOR,
    )
    client = acme.http(authorized=False)
    client.headers["authorization"] = f"Bearer {plaintext}"
    return client


def chat(acme: "Tenant", token: str) -> httpx.Response:
    client = acme.http(authorized=False)
    return client.post("/v1/chat/completions", json=CHAT, headers={"authorization": f"Bearer {token}"})


def test_a_token_issued_over_the_api_calls_the_gateway(acme: "Tenant") -> None:
    issued = managing(acme).post("/api/tokens", json={"service": str(acme.service.pk), "name": "over the api"})

    assert issued.status_code == 201
    eventually(lambda: chat(acme, issued.json()["token"]).status_code == 200, timeout=SOON)


def test_a_rotated_token_opens_with_both_secrets_until_the_grace_is_over(acme: "Tenant") -> None:
    assert chat(acme, acme.token).status_code == 200
    rotate = f"/api/tokens/{acme.token_row.pk}/rotate"
    api = managing(acme)

    first = api.post(rotate, json={"grace_seconds": 600}).json()["token"]
    eventually(lambda: chat(acme, first).status_code == 200, timeout=SOON)
    assert chat(acme, acme.token).status_code == 200

    second = api.post(rotate, json={}).json()["token"]
    changed = time.monotonic()
    eventually(lambda: chat(acme, first).status_code == 401, timeout=SOON * 5)
    eventually(lambda: chat(acme, acme.token).status_code == 401, timeout=SOON * 5)
    assert time.monotonic() - changed < SOON
    assert chat(acme, second).status_code == 200


def test_the_secret_of_before_ends_with_its_grace(acme: "Tenant") -> None:
    rotated = managing(acme).post(f"/api/tokens/{acme.token_row.pk}/rotate", json={"grace_seconds": 2})
    assert chat(acme, acme.token).status_code == 200

    eventually(lambda: chat(acme, acme.token).status_code == 401, timeout=5)

    assert chat(acme, rotated.json()["token"]).status_code == 200


def test_a_key_of_one_plane_does_not_open_the_other(acme: "Tenant") -> None:
    api = managing(acme)
    assert api.get("/api/services").status_code == 200
    key = api.headers["authorization"].removeprefix("Bearer ")

    assert chat(acme, key).status_code == 401
    assert api.get("/v1/models").status_code == 401
    assert acme.http().get("/api/services").status_code == 401


def test_an_export_is_served_whole(acme: "Tenant") -> None:
    from apps.api.resources.records import BATCH
    from apps.audit.models import RequestRecord

    made = RequestRecord.objects.bulk_create(
        RequestRecord(
            created_at=now(),
            organization=acme.organization,
            endpoint="models",
            dialect="openai",
            method="GET",
            path="/v1/models",
            status=200,
            total_us=1,
        )
        for _ in range(2 * BATCH + 1)
    )

    with managing(acme).stream("GET", "/api/records/export?format=jsonl") as response:
        lines = [line for line in response.iter_lines() if line]

    assert response.headers["content-type"] == "application/x-ndjson"
    assert len(lines) == len(made)
    assert {row.shown_id for row in made} == {line.split('"')[3] for line in lines}


def test_of_requests_at_the_same_time_each_sees_its_own_organization(
    acme: "Tenant", gateway: "GatewayProcess", upstream: "FakeProvider"
) -> None:
    """What a request may see is gone with it, whichever thread and connection serve the next, and whatever ended it."""
    from tests.support.tenant import tenant

    paths = (
        "services",
        "nowhere",
        "members",
        "services?limit=x",
        "organizations",
        "records/export?format=csv",
        "events",
    )
    with tenant(gateway, upstream) as zeta:
        sides = [(acme, zeta, managing(acme)), (zeta, acme, managing(zeta))]

        def look(number: int) -> str:
            mine, other, client = sides[number % 2]
            path = paths[number // 2 % len(paths)]
            response = client.get(f"/api/{path}")
            assert response.status_code in {200, 400, 404}, f"{path}: {response.text}"
            for foreign in (other.organization.pk, other.organization.slug, other.service.pk, other.token_row.pk):
                assert str(foreign) not in response.text, path
            return response.text if str(mine.organization.pk) in response.text else ""

        with ThreadPoolExecutor(8) as threads:
            seen = list(threads.map(look, range(10 * 2 * len(paths))))
    assert sum(bool(text) for text in seen) >= 10 * 2 * 3
