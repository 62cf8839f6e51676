"""One's own account: a new password, another e-mail, the browsers in which one is signed in."""

import re
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client
from django.test.signals import template_rendered
from django.utils.timezone import now

from apps.orgs.actions import owner_create, user_create
from apps.orgs.models import Organization, User
from apps.orgs.people.sessions import sessions_end
from apps.orgs.people.tasks import sessions_tidy
from tests.control.recorded import events
from tests.people.conftest import ACTOR, PASSWORD, sign_in
from tests.support.gateway import eventually
from tests.support.mail import MailSink

NEW = "a very different passphrase"


def arrived(mail: MailSink, count: int) -> list[tuple[str, str, str]]:
    """To whom, about what, and what; once there are `count`."""
    eventually(lambda: len(mail.messages) >= count, what=f"{count} e-mails")
    found = [(str(each["To"]), str(each["Subject"]), each.get_payload(decode=True).decode()) for each in mail.messages]
    assert len(found) == count
    return found


def link_in(body: str) -> str:
    (link,) = re.findall(r"http://localhost:\d+(/sign-in/\S+)", body)
    return str(link)


# --- A new password ---


def test_a_forgotten_password_is_replaced_by_a_link_once(owner: User, mail: MailSink) -> None:
    elsewhere, client = sign_in(owner), Client()
    sent = client.post("/sign-in/forgotten/", {"email": owner.email}, HTTP_HOST="127.0.0.1")
    assert sent["Location"] == "/sign-in/forgotten/sent/"
    ((to, subject, body),) = arrived(mail, 1)
    assert (to, subject) == (owner.email, "A new password for Tollgate")

    link = link_in(body)
    form = client.get(link, follow=True)
    assert link.rstrip("/").rpartition("-")[2] not in form.redirect_chain[-1][0], (
        "the secret stays out of the address bar"
    )
    done = client.post(form.redirect_chain[-1][0], {"password1": NEW, "password2": NEW})

    assert done["Location"] == "/sign-in/forgotten/done/"
    assert sign_in(owner, NEW).get("/admin/").status_code == 200
    assert elsewhere.get("/admin/").status_code == 302
    assert [event.actor_label for event in events("user.password_set")] == [owner.email]
    assert "not valid any more" in Client().get(link).content.decode()


def test_a_link_for_a_new_password_leaves_the_second_factor_and_signs_nobody_in(owner: User, mail: MailSink) -> None:
    client = Client()
    client.post("/sign-in/forgotten/", {"email": owner.email})
    form = client.get(link_in(arrived(mail, 1)[0][2]), follow=True)
    client.post(form.redirect_chain[-1][0], {"password1": NEW, "password2": NEW})

    assert client.get("/admin/").status_code == 302


def test_whether_there_is_an_account_is_not_told_and_strangers_get_no_mail(owner: User, mail: MailSink) -> None:
    answers = [Client().post("/sign-in/forgotten/", {"email": email}) for email in ("nobody@acme.test", owner.email)]

    assert answers[0].status_code == answers[1].status_code == 302
    assert answers[0]["Location"] == answers[1]["Location"]
    assert [to for to, _subject, _body in arrived(mail, 1)] == [owner.email]


def test_as_much_is_written_for_an_account_as_for_none(owner: User, mail: MailSink) -> None:
    """So that no clock tells them apart."""
    written: dict[str, list[str | None]] = {}
    for email in ("nobody@acme.test", owner.email):
        names = written[email] = []
        note = partial(lambda into, template, **_: into.append(template.name), names)
        template_rendered.connect(note)
        try:
            Client().post("/sign-in/forgotten/", {"email": email})
        finally:
            template_rendered.disconnect(note)

    assert "account/email/password_reset_key_message.txt" in written[owner.email]
    assert written["nobody@acme.test"] == written[owner.email]
    assert [to for to, _subject, _body in arrived(mail, 1)] == [owner.email]


def test_links_are_asked_for_five_times_an_hour(owner: User, mail: MailSink) -> None:
    codes = [
        Client().post("/sign-in/forgotten/", {"email": owner.email}, REMOTE_ADDR=f"192.0.2.{n}").status_code
        for n in range(6)
    ]
    assert codes == [302] * 5 + [429]


def test_an_e_mail_that_another_account_has_by_now_changes_nothing(owner: User, mail: MailSink) -> None:
    client = sign_in(owner)
    client.post("/account/confirm/", {"password": PASSWORD})
    client.post("/account/email/", {"email": "second@acme.test", "action_add": ""})
    link = link_in(arrived(mail, 1)[0][2])
    user_create(email="second@acme.test", password=PASSWORD, actor=ACTOR, email_verified=False)
    before = sorted(EmailAddress.objects.values_list("user__email", "email", "verified", "primary"))

    answer = Client().post(link, follow=True)

    assert answer.status_code == 200
    assert "Another account has the e-mail second@acme.test." in answer.content.decode()
    assert sorted(EmailAddress.objects.values_list("user__email", "email", "verified", "primary")) == before


def test_expired_sessions_are_deleted_and_others_are_not(owner: User) -> None:
    expired, lasting = sign_in(owner), sign_in(owner)
    Client().get("/sign-in/passkey/", headers={"X-Requested-With": "XMLHttpRequest"})  # a visitor has one too
    key = lasting.session.session_key
    Session.objects.exclude(session_key=key).update(expire_date=now() - timedelta(seconds=1))
    UserSession.objects.update(created_at=now() - timedelta(days=20))

    assert sessions_tidy() == 2

    assert [session.session_key for session in Session.objects.all()] == [key]
    assert [session.session_key for session in UserSession.objects.all()] == [key]
    assert (lasting.get("/account/").status_code, expired.get("/account/").status_code) == (200, 302)
    assert sessions_tidy() == 0


def test_a_new_password_leaves_this_session_listed_and_to_be_ended(owner: User) -> None:
    client = sign_in(owner)
    client.post("/account/password/", {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW})
    assert client.get("/account/").status_code == 200
    other = sign_in(owner, NEW)

    other.post("/account/sessions/")

    assert client.get("/account/").status_code == 302
    assert other.get("/account/").status_code == 200


def test_no_other_word_in_the_form_lifts_that_limit(owner: User, mail: MailSink) -> None:
    codes = [
        Client()
        .post("/sign-in/forgotten/", {"email": owner.email, "login": f"{n}@else.test"}, REMOTE_ADDR=f"192.0.2.{n}")
        .status_code
        for n in range(6)
    ]
    assert codes == [302] * 5 + [429]


def test_a_weak_password_is_refused_with_its_reason(owner: User) -> None:
    response = sign_in(owner).post(
        "/account/password/", {"oldpassword": PASSWORD, "password1": "short", "password2": "short"}
    )
    assert "8 characters" in response.content.decode()


def test_ones_own_password_is_changed_and_ends_other_sessions(owner: User, mail: MailSink) -> None:
    client, elsewhere = sign_in(owner), sign_in(owner)
    form = {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
    assert client.post("/account/password/", {**form, "oldpassword": "wrong"}).status_code == 200
    assert client.post("/account/password/", form)["Location"] == "/account/"

    assert client.get("/admin/").status_code == 200
    assert elsewhere.get("/admin/").status_code == 302
    assert [event.actor_label for event in events("user.password_set")] == [owner.email]
    assert "127.0.0.1" in arrived(mail, 1)[0][2]


def test_a_broken_mail_server_breaks_no_page(owner: User, mail: MailSink) -> None:
    mail.refuse("550 nobody here")
    assert Client().post("/sign-in/forgotten/", {"email": owner.email}).status_code == 302


# --- E-mail ---


def test_another_e_mail_counts_when_it_is_proved(owner: User, mail: MailSink) -> None:
    client = sign_in(owner)
    client.post("/account/confirm/", {"password": PASSWORD})
    client.post("/account/email/", {"email": "New@acme.test", "action_add": ""})
    ((to, _subject, body),) = arrived(mail, 1)
    owner.refresh_from_db()
    assert (to, owner.email) == ("new@acme.test", "owner@acme.test")

    link = link_in(body)
    assert client.get(link).status_code == 200
    owner.refresh_from_db()
    assert owner.email == "owner@acme.test", "a mail scanner that opens the link changes nothing"
    client.post(link)

    owner.refresh_from_db()
    assert owner.email == "new@acme.test"
    assert [row.email for row in EmailAddress.objects.filter(user=owner)] == ["new@acme.test"]
    assert events("user.updated")[-1].after == {"email": "new@acme.test"}
    assert arrived(mail, 2)[1][0] == "owner@acme.test", "the old address is told"


def test_somebody_elses_e_mail_is_not_taken(owner: User, acme: Organization, mail: MailSink) -> None:
    owner_create(organization=acme, email="other@acme.test", password=PASSWORD, actor=ACTOR)
    client = sign_in(owner)
    client.post("/account/confirm/", {"password": PASSWORD})
    client.post("/account/email/", {"email": "other@acme.test", "action_add": ""})
    assert Client().post("/sign-in/", {"login": "other@acme.test", "password": PASSWORD}).status_code == 302

    assert Client().get(link_in(arrived(mail, 1)[0][2])).status_code == 200
    Client().post(link_in(arrived(mail, 1)[0][2]))
    owner.refresh_from_db()
    assert owner.email == "owner@acme.test"


def test_an_e_mail_that_nobody_vouched_for_is_proved_before_it_signs_in(db: None, mail: MailSink) -> None:
    user = user_create(email="new@acme.test", password=PASSWORD, actor=ACTOR, email_verified=False)
    client = sign_in(user)
    assert client.get("/account/").status_code == 302
    ((to, _subject, body),) = arrived(mail, 1)
    assert to == "new@acme.test"

    Client().post(link_in(body))
    assert sign_in(user).get("/account/").status_code == 200
    assert [event.after for event in events("user.email_verified")] == [{"email": "new@acme.test"}]


# --- Profile and sessions ---


def test_a_name_is_changed_with_an_event(owner: User) -> None:
    client = sign_in(owner)
    assert "Acme" in client.get("/account/").content.decode()
    client.post("/account/", {"name": "Ana"})

    owner.refresh_from_db()
    assert owner.name == "Ana"
    assert events("user.updated")[-1].after == {"name": "Ana"}


def test_sessions_are_listed_and_ended_one_by_one_or_all_but_this(owner: User) -> None:
    here = sign_in(owner, headers={"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"})
    phone, laptop = sign_in(owner), sign_in(owner)
    page = here.get("/account/sessions/").content.decode()
    assert "Firefox · Linux" in page
    assert UserSession.objects.count() == 3

    session = UserSession.objects.get(session_key=phone.session.session_key)
    here.post(f"/account/sessions/{session.pk}/end/")
    assert phone.get("/admin/").status_code == 302
    assert laptop.get("/admin/").status_code == 200

    here.post("/account/sessions/")
    assert laptop.get("/admin/").status_code == 302
    assert here.get("/admin/").status_code == 200
    assert len(events("session.ended")) == 2


def test_somebody_elses_session_is_not_known_here(owner: User) -> None:
    other = User.objects.create_user("other@acme.test", PASSWORD)
    sign_in(other)
    session = UserSession.objects.get(user=other)

    assert sign_in(owner).post(f"/account/sessions/{session.pk}/end/").status_code == 404
    assert UserSession.objects.filter(pk=session.pk).exists()


def test_operators_end_all_sessions_of_a_user(owner: User) -> None:
    client = sign_in(owner)
    assert sessions_end(user=owner, actor=ACTOR) == 1
    assert client.get("/admin/").status_code == 302


@pytest.mark.parametrize(
    "path", ["", "email/", "password/", "security/", "security/passkeys/", "sessions/", "sign-out/"]
)
def test_nobody_sees_an_account_without_signing_in(db: None, path: str) -> None:
    response = Client().get(f"/account/{path}")
    assert response.status_code == 302
    assert response["Location"].startswith("/sign-in/")


@pytest.mark.parametrize(
    "path", ["", "email/", "password/", "security/", "security/passkeys/", "sessions/", "sign-out/"]
)
def test_every_page_of_an_account_opens_and_is_kept_by_nobody(owner: User, path: str, settings: Any) -> None:
    response = sign_in(owner).get(f"/account/{path}")
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    assert "<script>" not in response.content.decode()


def test_people_choose_a_language_that_is_offered(owner: User, settings: Any) -> None:
    settings.LANGUAGES = [("en", "English"), ("de", "Deutsch")]
    client = sign_in(owner)
    client.post("/account/", {"name": "Ana", "language": "fr"})
    assert settings.LANGUAGE_COOKIE_NAME not in client.cookies
    client.post("/account/", {"name": "Ana", "language": "de"})
    assert client.cookies[settings.LANGUAGE_COOKIE_NAME].value == "de"
    owner.refresh_from_db()
    assert (owner.name, owner.language) == ("Ana", "de")


def test_a_language_chosen_on_any_page_is_that_of_e_mails_too(owner: User) -> None:
    client = sign_in(owner)

    client.post("/language/", {"language": "es", "next": "/account/"})

    owner.refresh_from_db()
    assert owner.language == "es"
    client.post("/language/", {"language": "xx"})
    Client().post("/language/", {"language": "de"})
    owner.refresh_from_db()
    assert owner.language == "es"
