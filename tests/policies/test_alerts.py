"""People are told that a budget runs low once per window and level, however many processes notice it, and in whichever order."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.header import decode_header, make_header
from typing import Any

import pytest
from django.db import connection
from django.utils.timezone import now

from apps.core.env import networks
from apps.core.mail import mail_server
from apps.orgs.actions import owner_create, user_update
from apps.orgs.models import Membership, Organization, Role, User
from apps.policies.actions.budgets import Subject, budget_create, budget_update
from apps.policies.actions.webhooks import webhook_add, webhook_disable
from apps.policies.alerts import ATTEMPTS, WAITS, _deliver, _take, alerts_deliver, budgets_watch
from apps.policies.models import AlertDelivery, Budget, BudgetAlert, DeliveryState, Webhook
from apps.services.models import Token
from tests.support.mail import MailSink
from tests.support.receiver import Receiver
from tests.support.spending import ACTOR, a_service, a_token, an_organization, spend


@pytest.fixture(autouse=True)
def db(django_db_setup: None, django_db_blocker: Any, settings: Any) -> Iterator[None]:
    """Written to for good, as other threads watch and deliver; each test has its own organization."""
    settings.EGRESS_ALLOW = networks("127.0.0.0/8")
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    with django_db_blocker.unblock():
        # What earlier tests left behind is told to nobody.
        AlertDelivery.objects.filter(state=DeliveryState.PENDING).update(state=DeliveryState.FAILED)
        Budget.objects.update(enabled=False)
        yield


@pytest.fixture
def mail(settings: Any) -> Iterator[MailSink]:
    with MailSink() as sink:
        settings.EMAIL_SERVER = mail_server(sink.url)
        settings.DEFAULT_FROM_EMAIL = "Tollgate <gate@example.org>"
        yield sink


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


@pytest.fixture
def organization() -> Organization:
    return an_organization()


@pytest.fixture
def owner(organization: Organization) -> User:
    return owner_create(
        organization=organization,
        email=f"owner@{organization.slug}.test",
        password="correct horse battery staple",
        actor=ACTOR,
    )


@pytest.fixture
def token(organization: Organization) -> Token:
    return a_token(a_service(organization))


def bounded(
    organization: Organization, limit: str = "10", levels: tuple[int, ...] = (50, 80, 100), **subject: Any
) -> Budget:
    return budget_create(
        organization=organization,
        subject=Subject(subject.pop("scope", "organization"), **subject),
        window="total",
        limit_usd=Decimal(limit),
        alert_at=levels,
        actor=ACTOR,
    )


def alerts(organization: Organization) -> list[tuple[str, int]]:
    rows = BudgetAlert.objects.filter(organization=organization).order_by("id")
    return list(rows.values_list("subject", "level"))


def deliveries(organization: Organization) -> list[AlertDelivery]:
    return list(AlertDelivery.objects.filter(organization=organization).order_by("id"))


def only(organization: Organization) -> AlertDelivery:
    (found,) = deliveries(organization)
    return found


def make_due(organization: Organization) -> None:
    AlertDelivery.objects.filter(organization=organization, state=DeliveryState.PENDING).update(next_attempt_at=now())


def together(count: int, work: Callable[[], int]) -> list[int]:
    """Run it in so many threads that begin at the same moment."""
    barrier = threading.Barrier(count)

    def run() -> int:
        try:
            connection.ensure_connection()
            barrier.wait(10)
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return [done.result() for done in [pool.submit(run) for _ in range(count)]]


# --- Noticing ---


def test_each_level_is_told_once(organization: Organization, token: Token, owner: User) -> None:
    bounded(organization)
    spend(token, "4.999999999999", now())
    assert budgets_watch() == 0
    spend(token, "0.000000000001", now())
    assert budgets_watch() == 1
    assert budgets_watch() == 0
    spend(token, "10", now())
    assert budgets_watch() == 2
    assert alerts(organization) == [("", 50), ("", 80), ("", 100)]
    assert [row.target for row in deliveries(organization)] == [owner.email] * 3


def test_ten_watchers_at_once_tell_one_alert_and_send_one_mail(
    organization: Organization, token: Token, owner: User, mail: MailSink
) -> None:
    bounded(organization, levels=(50, 80))
    spend(token, "6", now())
    assert sum(together(10, budgets_watch)) == 1
    assert sum(together(10, alerts_deliver)) == 1
    assert alerts(organization) == [("", 50)]
    assert len(mail.messages) == 1
    assert only(organization).state == DeliveryState.SENT


def test_a_new_window_is_told_again(organization: Organization, token: Token) -> None:
    budget = bounded(organization, levels=(50,))
    budget_update(budget=budget, window="day", actor=ACTOR)
    spend(token, "6", now())
    assert budgets_watch() == 1
    yesterday = BudgetAlert.objects.get(organization=organization).window_start - timedelta(days=1)
    BudgetAlert.objects.filter(organization=organization).update(window_start=yesterday)
    assert budgets_watch() == 1


def test_disabled_budgets_and_those_without_levels_are_silent(organization: Organization, token: Token) -> None:
    bounded(organization, levels=())
    off = bounded(organization, scope="service", service=token.service)
    budget_update(budget=off, enabled=False, actor=ACTOR)
    spend(token, "100", now())
    assert budgets_watch() == 0


def test_a_budget_of_nothing_is_told_at_the_first_cent(organization: Organization, token: Token) -> None:
    bounded(organization, limit="0", levels=(100,))
    assert budgets_watch() == 0
    spend(token, "0.01", now())
    assert budgets_watch() == 1


def test_every_end_user_is_told_of_alone(organization: Organization, token: Token) -> None:
    bounded(organization, scope="end_user", end_user="*", levels=(100,))
    for end_user, usd in (("ana", "10"), ("ben", "9.99"), ("cleo", "11")):
        spend(token, usd, now(), end_user=end_user)
    assert budgets_watch() == 2
    assert sorted(alerts(organization)) == [("ana", 100), ("cleo", 100)]


def test_members_without_a_say_and_people_who_left_are_not_told(
    organization: Organization, token: Token, owner: User
) -> None:
    for name, role, active in (("admin", Role.ADMIN, True), ("member", Role.MEMBER, True), ("gone", Role.OWNER, False)):
        user = User.objects.create_user(f"{name}@{organization.slug}.test", is_active=active)
        Membership.objects.create(organization=organization, user=user, role=role)
    bounded(organization, levels=(50,))
    spend(token, "5", now())
    budgets_watch()
    assert {row.target.split("@")[0] for row in deliveries(organization)} == {"owner", "admin"}


# --- Mail ---


def test_the_mail_says_which_budget_and_how_much(
    organization: Organization, token: Token, owner: User, mail: MailSink
) -> None:
    bounded(organization, scope="tag", tag="team=search & <find>", levels=(80,))
    spend(token, "8.125", now(), tags=["team=search & <find>"])
    budgets_watch()
    assert alerts_deliver() == 1
    (message,) = mail.messages
    text = message.get_payload(decode=True).decode()  # type: ignore[union-attr]  # one part, so bytes
    assert message["to"] == owner.email
    assert message["from"] == "Tollgate <gate@example.org>"
    assert message["subject"] == "Budget of team=search & <find>: 80 % spent"
    assert message["message-id"] == f"<{only(organization).pk}@example.org>"
    assert message["auto-submitted"] == "auto-generated"
    for words in ("team=search & <find>", "8.125 USD (81.2 %)", "10.00 USD", "402", organization.slug):
        assert words in text, words


def test_everybody_reads_of_it_in_the_language_that_they_chose_last(
    organization: Organization, token: Token, owner: User, mail: MailSink
) -> None:
    ana = owner_create(organization=organization, email=f"ana@{organization.slug}.test", password=None, actor=ACTOR)
    user_update(user=ana, language="de", actor=ACTOR)
    bounded(organization, levels=(80,))
    spend(token, "8.125", now())
    budgets_watch()

    assert alerts_deliver() == 2

    said = {message["to"]: message for message in mail.messages}
    assert str(said[owner.email]["subject"]) == f"Budget of {organization.slug}: 80 % spent"
    german = said[ana.email]
    text = german.get_payload(decode=True).decode()  # type: ignore[union-attr]  # one part, so bytes
    assert f"Budget ({organization.slug}): 80 % ausgegeben" == str(make_header(decode_header(german["subject"])))
    assert "Zeitraum: gesamt" in text
    assert "Geltungsbereich: Organisation" in text
    assert "Scope" not in text


def test_without_a_mail_server_the_log_says_so(
    organization: Organization, token: Token, owner: User, settings: Any
) -> None:
    settings.EMAIL_SERVER = None
    bounded(organization, levels=(50,))
    spend(token, "5", now())
    budgets_watch()
    assert alerts_deliver() == 0
    delivery = only(organization)
    assert (delivery.state, delivery.attempts) == (DeliveryState.FAILED, 1)
    assert delivery.error == "no mail server is configured (EMAIL_URL)"


def test_a_refused_address_is_tried_again(
    organization: Organization, token: Token, owner: User, mail: MailSink
) -> None:
    mail.refuse("450 later")
    bounded(organization, levels=(50,))
    spend(token, "5", now())
    budgets_watch()
    alerts_deliver()
    delivery = only(organization)
    assert (delivery.state, delivery.error) == (DeliveryState.PENDING, "the mail server refused the address")
    mail.refuse("")
    make_due(organization)
    assert alerts_deliver() == 1
    assert only(organization).error == ""


# --- Webhooks ---


def hooked(organization: Organization, token: Token, url: str) -> str:
    """A webhook, and one alert on its way to it. Returns the secret."""
    _webhook, secret = webhook_add(organization=organization, url=url, actor=ACTOR)
    bounded(organization, levels=(80,))
    spend(token, "8.000000000001", now())
    assert budgets_watch() == 1
    return secret


def test_a_webhook_is_signed_as_standard_webhooks_say(
    organization: Organization, token: Token, receiver: Receiver
) -> None:
    secret = hooked(organization, token, receiver.url)
    assert alerts_deliver() == 1
    (call,) = receiver.received
    delivery = only(organization)
    assert call.path == "/hook?team=search"
    assert call.headers["host"] == receiver.url.split("/")[2]
    assert call.headers["content-type"] == "application/json"
    assert call.headers["webhook-id"] == str(delivery.pk)
    assert abs(int(call.headers["webhook-timestamp"]) - time.time()) < 30
    signed = f"{delivery.pk}.{call.headers['webhook-timestamp']}.".encode() + call.body
    assert secret.startswith("whsec_")
    digest = hmac.new(base64.b64decode(secret[6:]), signed, hashlib.sha256).digest()
    assert call.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    message = json.loads(call.body)
    assert message["type"] == "budget.threshold"
    facts = message["data"]
    assert facts["organization"] == organization.slug
    assert (facts["spent_usd"], facts["limit_usd"], facts["level_percent"]) == ("8.000000000001", "10.00", 80)
    assert (facts["scope"], facts["window"], facts["window_end"], facts["action"]) == (
        "organization",
        "total",
        None,
        "block",
    )


def test_a_failing_webhook_is_tried_less_and_less_often_and_then_given_up(
    organization: Organization, token: Token, receiver: Receiver
) -> None:
    receiver.answer(500)
    hooked(organization, token, receiver.url)
    for attempt in range(1, ATTEMPTS + 1):
        assert alerts_deliver() == 0
        delivery = only(organization)
        assert (delivery.attempts, delivery.error) == (attempt, "it answered 500")
        assert len(receiver.received) == attempt
        if attempt < ATTEMPTS:
            assert delivery.next_attempt_at is not None
            assert abs(delivery.next_attempt_at - now() - WAITS[attempt - 1]) < timedelta(seconds=10)
            assert alerts_deliver() == 0  # not before its time
            make_due(organization)
    assert only(organization).state == DeliveryState.FAILED
    assert len({call.headers["webhook-id"] for call in receiver.received}) == 1


def test_a_webhook_that_recovers_is_told(organization: Organization, token: Token, receiver: Receiver) -> None:
    receiver.answer(503)
    hooked(organization, token, receiver.url)
    alerts_deliver()
    receiver.answer(200)
    make_due(organization)
    assert alerts_deliver() == 1
    delivery = only(organization)
    assert (delivery.state, delivery.attempts, delivery.error) == (DeliveryState.SENT, 2, "")
    assert delivery.sent_at is not None


def test_redirects_are_not_followed(organization: Organization, token: Token, receiver: Receiver) -> None:
    receiver.answer(302)
    hooked(organization, token, receiver.url)
    assert alerts_deliver() == 0
    assert [call.path for call in receiver.received] == ["/hook?team=search"]
    assert only(organization).error == "it answered 302"


def test_a_dead_receiver_stops_nobody_else(
    organization: Organization, token: Token, owner: User, mail: MailSink
) -> None:
    with Receiver() as dead:
        url = dead.url
    hooked(organization, token, url)
    assert alerts_deliver() == 1
    mailed, called = sorted(deliveries(organization), key=lambda delivery: delivery.channel)
    assert mailed.state == DeliveryState.SENT
    assert called.state == DeliveryState.PENDING
    assert called.error.startswith("no connection")


def test_an_address_that_the_egress_rule_refuses_is_never_dialled(
    organization: Organization, token: Token, receiver: Receiver, settings: Any
) -> None:
    hooked(organization, token, receiver.url)
    settings.EGRESS_ALLOW = networks("10.0.0.0/8")
    assert alerts_deliver() == 0
    assert receiver.received == []
    assert "EGRESS_ALLOW" in only(organization).error


def test_a_disabled_webhook_gets_nothing_that_was_on_its_way(
    organization: Organization, token: Token, receiver: Receiver
) -> None:
    hooked(organization, token, receiver.url)
    webhook_disable(webhook=Webhook.objects.get(organization=organization), actor=ACTOR)
    assert alerts_deliver() == 0
    assert receiver.received == []
    assert only(organization).state == DeliveryState.FAILED


def test_a_second_worker_leaves_alone_what_a_first_is_sending(
    organization: Organization, token: Token, receiver: Receiver
) -> None:
    receiver.hold.clear()
    hooked(organization, token, receiver.url)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(together, 1, alerts_deliver)
        until = time.monotonic() + 10
        while not receiver.received and time.monotonic() < until:
            time.sleep(0.01)
        assert alerts_deliver() == 0
        # Nor when the wait is over while the first one is still at it.
        delivery = only(organization)
        assert delivery.attempts == 1
        assert not _deliver(delivery.pk, delivery.attempts)
        receiver.hold.set()
        assert first.result() == [1]
    assert alerts_deliver() == 0
    assert len(receiver.received) == 1


def test_what_a_worker_that_died_had_taken_is_sent_after_the_wait(
    organization: Organization, token: Token, receiver: Receiver
) -> None:
    hooked(organization, token, receiver.url)
    assert _take() is not None  # and dies
    assert alerts_deliver() == 0
    waiting = only(organization)
    assert (waiting.attempts, waiting.state) == (1, DeliveryState.PENDING)
    make_due(organization)
    assert alerts_deliver() == 1
    assert only(organization).attempts == 2


def test_a_worker_that_dies_at_the_last_attempt_leaves_no_delivery_pending(
    organization: Organization, token: Token, receiver: Receiver
) -> None:
    hooked(organization, token, receiver.url)
    AlertDelivery.objects.filter(organization=organization).update(attempts=ATTEMPTS)
    assert alerts_deliver() == 0
    assert receiver.received == []
    assert only(organization).state == DeliveryState.FAILED


def test_a_level_is_told_of_the_window_in_the_organizations_time(token: Token, receiver: Receiver) -> None:
    organization = token.service.organization
    Organization.objects.filter(pk=organization.pk).update(timezone="Asia/Kathmandu")
    organization.refresh_from_db()
    webhook_add(organization=organization, url=receiver.url, actor=ACTOR)
    budget = bounded(organization, levels=(50,))
    budget_update(budget=budget, window="day", actor=ACTOR)
    spend(token, "6", now())
    budgets_watch()
    alerts_deliver()
    facts = json.loads(receiver.received[0].body)["data"]
    starts, ends = (datetime.fromisoformat(facts[name]) for name in ("window_start", "window_end"))
    assert facts["window_start"].endswith("T00:00:00+05:45")
    assert ends - starts == timedelta(days=1)
    assert starts.astimezone(UTC) <= now() < ends
