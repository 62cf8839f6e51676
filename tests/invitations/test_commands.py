"""The commands about invitations."""

import json
import re
from typing import Any

from django.test import Client

from apps.orgs.invitations.models import Invitation
from apps.orgs.models import Organization
from tests.control.conftest import Run
from tests.support.mail import MailSink


def test_a_link_is_printed_alone_and_works(acme: Organization, run: Run, settings: Any) -> None:
    ran = run("invite", "--org", "acme", "--email", "new@else.test", "--role", "admin")
    assert ran.code == 0
    assert ran.out.startswith(f"{settings.PUBLIC_URL}/invitations/")
    assert "as admin" in ran.err
    assert Client().get(ran.out.strip().removeprefix(settings.PUBLIC_URL)).status_code == 200


def test_it_is_sent_by_mail_and_then_shown_nowhere(acme: Organization, run: Run, mail: MailSink, settings: Any) -> None:
    ran = run("invite", "--org", "acme", "--email", "new@else.test", "--mail")
    assert (ran.code, ran.out) == (0, "")
    [message] = mail.messages
    body = message.get_payload(decode=True).decode()  # type: ignore[union-attr]  # one part
    link = re.search(r"https?://\S+", body)
    assert message["To"] == "new@else.test"
    assert "Acme" in message["Subject"]
    assert link is not None
    assert link[0] not in ran.err
    assert Client().get(link[0].removeprefix(settings.PUBLIC_URL)).status_code == 200
    assert Invitation.objects.get().sent_at is not None


def test_an_e_mail_that_is_not_sent_says_why_and_can_be_sent_again(
    acme: Organization, run: Run, mail: MailSink
) -> None:
    mail.refuse("550 nobody here")
    ran = run("invite", "--org", "acme", "--email", "new@else.test", "--mail")
    assert ran.code == 1
    assert "the mail server refused the address" in ran.err
    assert "--again" in ran.err
    assert Invitation.objects.get().sent_at is None

    mail.refuse("")
    assert run("invite", "--org", "acme", "--email", "new@else.test", "--mail", "--again").code == 0
    assert len(mail.messages) == 1


def test_they_are_listed_and_revoked_by_id(acme: Organization, run: Run) -> None:
    run("invite", "--org", "acme", "--email", "new@else.test")
    listed = json.loads(run("invitations", "--org", "acme", "--json").out)
    assert (listed["email"], listed["role"], listed["state"]) == ("new@else.test", "member", "open")
    assert "secret" not in listed

    assert run("revoke_invitation", listed["id"]).code == 0
    assert "already" in run("revoke_invitation", listed["id"]).err
    assert run("invitations", "--org", "acme").out == ""
    assert "revoked" in run("invitations", "--org", "acme", "--all").out


def test_what_is_not_there_is_said(acme: Organization, run: Run) -> None:
    assert "There is no organization" in run("invite", "--org", "none", "--email", "a@b.test").err
    assert "that could be renewed" in run("invite", "--org", "acme", "--email", "a@b.test", "--again").err
    assert run("revoke_invitation", "0198c0de-0000-7000-8000-000000000000").code == 1
