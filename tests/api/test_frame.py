"""What holds for every resource: one shape of errors, repeated creates, lost updates, rates."""

import json
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client

from apps.api.frame.repeats import answers_forget
from apps.api.models import KeptAnswer
from apps.services.models import Service, Token
from tests.api.conftest import Api, error_of


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "nowhere", None, 404, "not_found"),
        ("GET", "services/not-a-uuid", None, 404, "not_found"),
        ("GET", "services/", None, 404, "not_found"),
        ("POST", "services/not-a-uuid", {}, 404, "not_found"),
        ("DELETE", "services", None, 405, "method_not_allowed"),
        ("OPTIONS", "services", None, 405, "method_not_allowed"),
        ("POST", "services", "{", 400, "malformed"),
        ("POST", "services", "[]", 400, "malformed"),
        ("POST", "services", '{"name": NaN}', 400, "malformed"),
        ("POST", "services", '{"name": "a", "name": "b"}', 400, "malformed"),
        ("POST", "services", b'{"name": "\xff"}', 400, "malformed"),
        ("POST", "services", "[" * 100_000, 400, "malformed"),
        ("POST", "services", '{"a":' * 5000 + "1" + "}" * 5000, 400, "malformed"),
        ("POST", "services", '{"name": "' + "x" * 3_000_000 + '"}', 413, "too_large"),
        ("POST", "services", {}, 400, "invalid"),
    ],
)
def test_every_error_has_one_shape(api: Api, method: str, path: str, body: Any, status: int, code: str):
    response = api(method, path, body)

    assert response.status_code == status
    assert error_of(response)["code"] == code
    if status == 405:
        assert response["Allow"] == "GET, POST"


def test_a_body_of_another_type_is_refused(api: Api):
    response = api.client.post("/api/services", data="name=x", content_type="application/x-www-form-urlencoded")

    assert response.status_code == 415
    assert json.loads(response.content)["error"]["code"] == "unsupported_media_type"


def test_a_create_that_is_repeated_happens_once(api: Api, service: Service):
    body = {"service": str(service.pk), "name": "production"}
    first = api("POST", "tokens", body, Idempotency_Key="order-66")
    again = api("POST", "tokens", dict(reversed(body.items())), Idempotency_Key="order-66")

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again["Idempotency-Replayed"] == "true"
    assert Token.objects.count() == 1
    assert first.json()["token"].encode() not in bytes(KeptAnswer.objects.get().sealed_answer)


def test_the_same_key_with_another_request_is_a_conflict(api: Api):
    api.post("services", {"name": "one"}, Idempotency_Key="k")

    response = api("POST", "services", {"name": "two"}, Idempotency_Key="k")

    assert response.status_code == 409
    assert error_of(response)["code"] == "idempotency_key_reused"
    assert Service.objects.count() == 1


def test_a_create_that_failed_may_be_repeated(api: Api):
    assert api("POST", "services", {"name": ""}, Idempotency_Key="k").status_code == 400

    assert api("POST", "services", {"name": "one"}, Idempotency_Key="k").status_code == 201


def test_a_key_of_somebody_else_means_nothing(api: Api, stranger: Api, with_key: Any):
    for each in (api, stranger, with_key("services.write")):
        name = f"mine {id(each)}"
        assert each.post("services", {"name": name}, Idempotency_Key="k")["name"] == name


def test_an_idempotency_key_has_a_form(api: Api):
    for key in ("", "x" * 256, "a\tb"):
        assert api("POST", "services", {"name": "one"}, Idempotency_Key=key).status_code == 400


def test_kept_answers_are_forgotten_after_a_day(api: Api):
    from datetime import timedelta

    from django.utils.timezone import now

    api.post("services", {"name": "one"}, Idempotency_Key="k")
    assert answers_forget() == 0
    KeptAnswer.objects.update(created_at=now() - timedelta(hours=25))
    assert answers_forget() == 1


def test_a_version_that_somebody_changed_meanwhile_is_refused(api: Api, service: Service):
    path = f"services/{service.pk}"
    seen = api("GET", path)["ETag"]
    changed = api("PATCH", path, {"name": "First"}, If_Match=seen)
    assert changed.status_code == 200
    assert changed["ETag"] == api("GET", path)["ETag"] != seen

    response = api("PATCH", path, {"name": "Second"}, If_Match=seen)

    assert response.status_code == 412
    assert error_of(response)["code"] == "changed_meanwhile"
    service.refresh_from_db()
    assert service.name == "First"
    assert api("PATCH", path, {"name": "Third"}, If_Match="*").status_code == 200


def test_a_path_that_leads_nowhere_says_so_whatever_is_sent_there(db: None):
    client = Client(enforce_csrf_checks=True)

    response = client.post("/api/services/not-a-uuid", data="{}", content_type="application/json")

    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"


def test_use_of_a_token_is_no_change_of_it(api: Api, service: Service):
    made = api.post("tokens", {"service": str(service.pk), "name": "x"})
    seen = api("GET", f"tokens/{made['id']}")["ETag"]
    from django.utils.timezone import now

    Token.objects.update(last_used_at=now())

    assert api("GET", f"tokens/{made['id']}")["ETag"] == seen


def test_too_many_requests_are_told_when_to_come_again(api: Api, with_key: Any, settings: Any):
    settings.API_RATE_LIMIT = "3/m"
    assert [api("GET", "me").status_code for _ in range(4)] == [200, 200, 200, 429]

    response = api("GET", "me")

    assert 1 <= int(response["Retry-After"]) <= 60
    assert error_of(response)["code"] == "too_many_requests"
    assert with_key("services.read")("GET", "services").status_code == 200  # another one's count


def test_an_address_that_guesses_is_slowed_down(db: None, settings: Any, with_key: Any):
    settings.API_FAILURE_LIMIT = "3/m"
    guesses = [Api(key=f"tg_admin_{'x' * 49}")("GET", "me").status_code for _ in range(5)]

    assert guesses[:3] == [401, 401, 401]
    assert guesses[-1] == 429


def test_answers_are_not_kept_by_anybody_on_the_way(api: Api):
    assert api("GET", "services")["Cache-Control"] == "no-store"


def test_the_settings_have_the_rates_as_documented():
    assert (django_settings.API_RATE_LIMIT, django_settings.API_FAILURE_LIMIT) == ("600/m", "60/m")


@pytest.mark.parametrize(("path", "kind"), [("/api/services", "application/json"), ("/admin/", "text/html")])
def test_what_fails_outside_of_a_view_has_the_form_of_where_it_fails(rf: Any, path: str, kind: str):
    from django.urls import get_resolver

    response = get_resolver().resolve_error_handler(500)(rf.get(path))

    assert response.status_code == 500
    assert response["Content-Type"].startswith(kind)
