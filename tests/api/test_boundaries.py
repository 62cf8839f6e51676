"""What somebody who means harm, or two who come at once, get: an error in the API's form, and nothing of anybody else's."""

import csv
import io
import threading
from typing import Any

import pytest
from django.db import connection, connections, transaction

from tests.api.conftest import ACTOR, Api, error_of, member
from tests.api.world import furnish
from tests.support.gateway import eventually

# --- What is sent ---


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("services", '{"\\ud800": 1}'),
        ("services", '{"name": "\\ud800"}'),
        ("credentials", '{"provider": "\\ud800", "label": "x"}'),
        ("policies", '{"name": "x", "allowed_models": ["\\udfff"]}'),
        ("aliases", '{"name": "x", "targets": [{"model": "x", "\\ud800": 1}]}'),
        ("prices", '{"provider": "openai", "model": "x", "prices": {"\\ud800": "1"}}'),
    ],
)
def test_half_a_character_is_refused_and_can_be_told(api: Api, path: str, body: str):
    response = api("POST", path, body)

    assert response.status_code == 400
    assert error_of(response)["code"] in {"invalid", "malformed"}


FORMULA = list("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 - the wide forms, which some spreadsheets take for the others


@pytest.mark.parametrize("beginning", FORMULA)
def test_nothing_in_a_table_is_a_formula(api: Api, acme: Any, beginning: str):
    from apps.audit.models import RequestRecord

    furnish(acme)
    RequestRecord.objects.update(user_agent=f"{beginning}1+1")

    exported = api("GET", "records/export?format=csv").text_seen

    (row,) = csv.DictReader(io.StringIO(exported, newline=""))
    assert row["user_agent"] == f"'{beginning}1+1"


@pytest.mark.parametrize(
    "path",
    [
        "records?since=1970-01-01T00:00:00%2B23:59",
        "records?until=9998-12-31T23:59:59-23:59",
        "records/export?format=csv&since=1970-01-01T00:00:00%2B23:59",
        "events?since=1970-01-01T00:00:00%2B23:59",
        "usage?since=1970-01-01T00:00:00Z",
        "usage?since=1970-01-01T00:00:00Z&until=1970-01-03T00:00:00Z&group_by=model",
        "usage?since=1970-01-01T00:00:00Z&until=9998-12-31T23:59:59-23:59&bucket=month",
    ],
)
def test_the_first_and_the_last_of_times_are_times(api: Api, path: str):
    assert api("GET", path).status_code == 200


# --- Who asks ---


def test_a_record_is_explained_to_who_may_read_records_and_policies(acme: Any, signed_in: Any, with_key: Any):
    path = f"records/{furnish(acme)['record_id']}/explanation"

    assert signed_in(member(acme, "auditor"))("GET", path).status_code == 200
    assert signed_in(member(acme, "member"))("GET", path).status_code == 403
    assert with_key("records.read")("GET", path).status_code == 403
    assert with_key("policies.read")("GET", path).status_code == 403
    assert with_key("records.read", "policies.read")("GET", path).status_code == 200


def test_who_is_invited_by_a_key_is_invited_by_whoever_issued_it(acme: Any, owner: Any, signed_in: Any):
    from apps.orgs.actions import member_remove
    from apps.orgs.invitations.actions import InvitationRefusedError, invitation_accept_as_new
    from apps.orgs.models import Membership

    admin = member(acme, "admin")
    key = signed_in(admin).post("keys", {"name": "ci", "permissions": ["members.write"]})["key"]
    invited = Api(key=key).post("invitations", {"email": "second@else.test", "role": "admin", "delivery": "link"})
    assert invited["invited_by"] == str(admin.pk)

    member_remove(membership=Membership.objects.get(user=admin), actor=ACTOR)

    signed = invited["link"].rstrip("/").rpartition("/")[2]
    with pytest.raises(InvitationRefusedError, match="may no longer"):
        invitation_accept_as_new(signed=signed, name="", password="correct horse battery", address=None)


# --- Whose it is ---


def test_a_slug_that_another_organization_has_is_refused_at_its_field(api: Api, zeta: Any, acme: Any):
    response = api("PATCH", f"organizations/{acme.pk}", {"slug": "zeta"})

    assert response.status_code == 400
    assert list(error_of(response)["fields"]) == ["slug"]
    acme.refresh_from_db()
    assert acme.slug == "acme"


# --- Two at once ---


@pytest.fixture
def committed(transactional_db: None) -> dict[str, Any]:
    """Acme, its owner and a member, for several connections to see."""
    from apps.orgs.actions import organization_create

    organization = organization_create(name="Acme", slug="acme", actor=ACTOR)
    return {"organization": organization, "owner": member(organization, "owner"), **furnish(organization)}


def waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def meanwhile(api: Api, verb: str, path: str, body: Any) -> tuple[threading.Thread, list[int]]:
    """One request on a connection of its own."""
    answers: list[int] = []

    def ask() -> None:
        try:
            answers.append(api(verb, path, body).status_code)
        finally:
            connections.close_all()

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, answers


@pytest.mark.parametrize("case", ["a member", "an attachment", "a price"])
def test_a_change_over_the_api_and_one_by_the_console_do_not_wait_for_each_other(
    committed: dict[str, Any], signed_in: Any, case: str
):
    """Both lock in the order of the actions, so that the database need not choose whose change fails."""
    from apps.orgs.models import Membership, Organization
    from apps.policies.models import Attachment
    from apps.providers.models import Price
    from apps.services.models import Service

    api = signed_in(committed["owner"])
    first, then, verb, path, body, expected = {
        "a member": (
            lambda: Organization.objects.select_for_update().get(pk=committed["organization"].pk),
            lambda: Membership.objects.select_for_update(of=("self",)).get(pk=committed["member_id"]),
            "PATCH",
            f"members/{committed['member_id']}",
            {"role": "auditor"},
            200,
        ),
        "an attachment": (
            lambda: Service.objects.select_for_update(no_key=True).get(pk=committed["service_id"]),
            lambda: Attachment.objects.select_for_update().get(pk=committed["attachment_id"]),
            "DELETE",
            f"attachments/{committed['attachment_id']}",
            None,
            204,
        ),
        "a price": (
            lambda: connection.cursor().execute("SELECT pg_advisory_xact_lock(hashtext('providers_price'))"),
            lambda: Price.objects.select_for_update().get(pk=committed["price_id"]),
            "POST",
            f"prices/{committed['price_id']}/withdraw",
            None,
            200,
        ),
    }[case]
    with transaction.atomic():
        first()
        thread, answers = meanwhile(api, verb, path, body)
        eventually(lambda: waits_for_a_lock() or answers, what="a request that waits")
        assert not answers, answers
        then()
    thread.join(20)
    assert answers == [expected]


def test_of_two_owners_who_unmake_each_other_one_stays(committed: dict[str, Any], signed_in: Any):
    from apps.orgs.models import Membership, Organization, Role

    other = member(committed["organization"], "admin")
    Membership.objects.filter(user=other).update(role=Role.OWNER)
    ids = dict(Membership.objects.filter(role=Role.OWNER).values_list("user_id", "id"))
    browsers = {one.pk: signed_in(one) for one in (committed["owner"], other)}
    with transaction.atomic():
        Organization.objects.select_for_update().get(pk=committed["organization"].pk)
        started = [
            meanwhile(browsers[one.pk], "PATCH", f"members/{ids[another.pk]}", {"role": "member"})
            for one, another in ((committed["owner"], other), (other, committed["owner"]))
        ]
    for thread, _answers in started:
        thread.join(20)

    assert sorted(status for _thread, answers in started for status in answers) == [200, 400]
    assert Membership.objects.filter(role=Role.OWNER).count() == 1


@pytest.mark.parametrize("place", ["organization", "service", "token", "installation"])
def test_the_rules_of_a_place_are_not_written_over_unseen(acme: Any, staff: Api, place: str):
    ids = furnish(acme)
    path = "installation/rules" if place == "installation" else f"{place}s/{ids[f'{place}_id']}/rules"
    seen = staff("GET", path)["ETag"]
    assert staff("PATCH", path, {"allowed_models": ["gpt-*"]}, If_Match=seen).status_code == 200

    late = staff("PATCH", path, {"allowed_models": ["o3"]}, If_Match=seen)

    assert (late.status_code, error_of(late)["code"]) == (412, "changed_meanwhile")
    assert staff.get(path)["allowed_models"] == ["gpt-*"]
    assert staff("PATCH", path, {"allowed_models": None}, If_Match=staff("GET", path)["ETag"]).status_code == 200
