"""Two people with one link, at the same moment."""

import threading

import pytest
from django.db import connections

from apps.orgs.actions import organization_create
from apps.orgs.invitations.actions import InvitationRefusedError, invitation_accept_as_new, invitation_create
from apps.orgs.models import Membership, Role, User
from tests.invitations.conftest import COMMAND, PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)


def test_of_two_who_accept_at_once_one_gets_in() -> None:
    acme = organization_create(name="Acme", slug="acme", actor=COMMAND)
    path = invitation_create(organization=acme, email="new@else.test", role=Role.MEMBER, actor=COMMAND)[1]
    signed = path.removeprefix("/invitations/").removesuffix("/")
    together, outcomes = threading.Barrier(4), []

    def accept(number: int) -> None:
        try:
            together.wait(10)
            invitation_accept_as_new(signed=signed, name=f"N{number}", password=PASSWORD, address=None)
            outcomes.append("in")
        except InvitationRefusedError as refusal:
            outcomes.append(str(refusal))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=accept, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(outcomes) == ["This invitation was accepted already: each works once."] * 3 + ["in"]
    assert (User.objects.count(), Membership.objects.count()) == (1, 1)
