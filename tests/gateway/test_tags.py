"""Tags of a header, which a proxy sets, hold whatever the client itself sends."""

from apps.policies.actions.budgets import Subject
from tests.support.governed import BODY, budget, priced
from tests.support.tenant import Tenant


def test_a_clients_own_tags_never_push_out_those_of_the_header(acme: Tenant) -> None:
    priced(acme)
    budget(acme, "0", subject=Subject("tag", tag="team=red"))
    by_proxy = {"x-tollgate-tags": "team=red"}
    many = {f"a{number:02}": "x" for number in range(16)}
    http = acme.http()
    for metadata in (many, {**many, "team": "blue"}):
        refused = http.post("/v1/chat/completions", json={**BODY, "metadata": metadata}, headers=by_proxy)
        assert (refused.status_code, refused.json()["error"]["scope"]) == (402, "tag")
    for record in acme.records(2):
        assert record.tags == [*(f"a{number:02}=x" for number in range(15)), "team=red"]
