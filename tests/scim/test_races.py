"""What a directory sends at the same moment: it sends much at once."""

import threading
from typing import Any

import pytest
from django.db import connections

from apps.orgs.actions import organization_create
from apps.orgs.models import Membership
from tests.invitations.conftest import COMMAND
from tests.scim.conftest import Directory

pytestmark = pytest.mark.django_db(transaction=True)


def test_people_who_are_added_to_a_group_at_the_same_moment_are_all_in_it() -> None:
    directory = Directory(organization_create(name="Acme", slug="acme", actor=COMMAND))
    people = [directory.create(f"p{number}@acme.test").json()["id"] for number in range(6)]
    group = directory("POST", "/Groups", {"displayName": "admin"}).json()["id"]
    together, answers = threading.Barrier(len(people)), list[Any]()

    def add(key: str) -> None:
        try:
            together.wait(10)
            change = {"op": "add", "path": "members", "value": [{"value": key}]}
            answers.append(directory.patch(f"/Groups/{group}", change).status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=add, args=(key,)) for key in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert answers == [200] * len(people)
    shown = directory("GET", f"/Groups/{group}").json()["members"]
    assert sorted(member["value"] for member in shown) == sorted(people)
    assert Membership.objects.filter(role="admin").count() == len(people)
