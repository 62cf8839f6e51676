"""Files at a provider's account that several services share: each sees its own, and nobody else's."""

import json
import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import openai
import pytest

from apps.objects.models import OwnedObject
from apps.policies.actions.policies import inline_set
from apps.providers.actions import credential_disable, credential_drain
from apps.services.actions import service_create, token_issue
from apps.services.models import Token
from tests.gateway.test_refusals import refused
from tests.support.account import FakeAccount
from tests.support.gateway import GatewayProcess, eventually
from tests.support.governed import ruled
from tests.support.provider import FakeProvider
from tests.support.tenant import ACTOR, Tenant, recorded, tenant


def rival(acme: Tenant) -> tuple[Token, str]:
    """A token of another service of the same organization."""
    service = service_create(organization=acme.organization, name=f"rival-{uuid4().hex[:8]}", actor=ACTOR)
    return token_issue(service=service, name="rival", actor=ACTOR)


def upload(client: openai.OpenAI, content: bytes = b"hello", **options: Any) -> Any:
    asked: Any = {"file": ("notes.txt", content), "purpose": "user_data", **options}
    return client.files.create(**asked)


# --- Whose it is ---


def test_a_file_is_its_services_to_show_to_read_and_to_delete(acme: Tenant, account: FakeAccount) -> None:
    client = acme.client()
    made = upload(client, b"hello")
    assert made.filename == "notes.txt"
    assert client.files.retrieve(made.id).bytes == 5
    assert client.files.content(made.id).read() == b"hello"
    assert [each.id for each in client.files.list()] == [made.id]
    assert client.files.delete(made.id).deleted
    assert account.files == {}
    assert list(client.files.list()) == []
    refused(lambda: client.files.retrieve(made.id), openai.NotFoundError, "object_not_found")
    names = {(record.endpoint, record.method, record.status) for record in acme.records(7)}
    assert names == {("files", "POST", 200), ("files", "GET", 200), ("files", "DELETE", 200), ("files", "GET", 404)}


def test_another_service_finds_a_file_as_little_as_one_that_is_not_there(acme: Tenant, account: FakeAccount) -> None:
    made = upload(acme.client())
    asked = len(account.asked)
    _, plaintext = rival(acme)
    other = acme.client(token=plaintext)
    errors = []
    for file in (made.id, "file-nobody"):
        for call in (other.files.retrieve, other.files.content, other.files.delete):
            error = refused(lambda call=call, file=file: call(file), openai.NotFoundError, "object_not_found")  # type: ignore[misc]
            errors.append(error.message.replace(file, "ID").split(" (request")[0])
    assert len({error.rpartition("req_")[0] for error in errors}) == 1, errors
    assert list(other.files.list()) == []
    assert len(account.asked) == asked, "the provider was asked for another's file"
    assert acme.client().files.content(made.id).read() == b"hello"


def test_another_organization_on_the_same_account_finds_nothing_either(
    acme: Tenant, account: FakeAccount, gateway: GatewayProcess, upstream: FakeProvider
) -> None:
    made = upload(acme.client())
    with tenant(gateway, upstream) as other:
        refused(lambda: other.client().files.content(made.id), openai.NotFoundError, "object_not_found")
        assert list(other.client().files.list()) == []


def test_tokens_of_one_service_share_its_files(acme: Tenant, account: FakeAccount) -> None:
    made = upload(acme.client())
    _, plaintext = acme.issue_token()
    assert acme.client(token=plaintext).files.retrieve(made.id).id == made.id


def test_the_owner_is_written_down_before_the_id_leaves(acme: Tenant, account: FakeAccount) -> None:
    made = upload(acme.client())
    row = OwnedObject.objects.get(upstream_id=made.id)
    assert (row.service, row.token, row.credential) == (acme.service, acme.token_row, acme.credential)
    assert (row.kind, row.facts["filename"], row.organization) == ("file", "notes.txt", acme.organization)


# --- Lists ---


def test_lists_are_in_pages_and_by_purpose(acme: Tenant, account: FakeAccount) -> None:
    client = acme.client()
    made = [upload(client, purpose=purpose).id for purpose in ("user_data", "assistants", "user_data")]
    assert [each.id for each in client.files.list()] == made[::-1]
    assert [each.id for each in client.files.list(order="asc")] == made
    assert [each.id for each in client.files.list(purpose="assistants")] == [made[1]]
    first = client.files.list(limit=2)
    assert ([each.id for each in first.data], first.has_more) == ([made[2], made[1]], True)
    assert [each.id for each in client.files.list(limit=2)] == made[::-1], "the client turns the pages by itself"
    assert "GET /files" not in account.asked


@pytest.mark.parametrize(
    ("query", "param", "status"),
    [("limit=0", "limit", 400), ("limit=x", "limit", 400), ("order=up", "order", 400), ("after=file-x", "after", 404)],
)
def test_a_list_that_cannot_be_is_refused(everyday: Tenant, query: str, param: str, status: int) -> None:
    response = everyday.http().get(f"/v1/files?{query}")
    assert (response.status_code, response.json()["error"]["param"]) == (status, param)


def test_a_file_that_has_ended_by_itself_is_not_listed(acme: Tenant, account: FakeAccount) -> None:
    made = upload(acme.client())
    row = OwnedObject.objects.get(upstream_id=made.id)
    row.facts["expires_at"] = 1_000
    row.save()
    assert list(acme.client().files.list()) == []
    row.facts["expires_at"] = "never"  # what is no time ends nothing
    row.save()
    assert len(list(acme.client().files.list())) == 1


def test_a_file_that_the_provider_has_lost_is_gone(acme: Tenant, account: FakeAccount) -> None:
    made = upload(acme.client())
    account.files.clear()
    with pytest.raises(openai.NotFoundError):
        acme.client().files.retrieve(made.id)
    assert list(acme.client().files.list()) == []


# --- Paths and clients ---


@pytest.mark.parametrize("prefix", ["/v1", "/openai/v1", "/openai"])
def test_every_prefix_leads_there(everyday: Tenant, prefix: str) -> None:
    account = FakeAccount(uuid4().hex[:6])
    everyday.upstream.reset()
    everyday.upstream.replies(account, always=True)
    http = everyday.http()
    made = http.post(f"{prefix}/files", data={"purpose": "user_data"}, files={"file": ("a.txt", b"a")}).json()
    assert http.get(f"{prefix}/files/{made['id']}/content/?api-version=2024-10-21").content == b"a"
    assert made["id"] in {each["id"] for each in http.get(f"{prefix}/files").json()["data"]}
    assert http.delete(f"{prefix}/files/{made['id']}").json()["deleted"] is True
    assert everyday.upstream.requests[-1].path == f"/v1/files/{made['id']}"


def test_azures_client_keeps_files_at_azure(acme: Tenant, upstream: FakeProvider, account: FakeAccount) -> None:
    acme.add_credential(upstream.url, provider="azure_openai", api_version="2024-10-21", label="azure", priority=1)
    client = openai.AzureOpenAI(
        azure_endpoint=acme.gateway.url, api_key=acme.token, api_version="2025-01-01-preview", max_retries=0
    )
    with client:
        made = client.files.create(
            file=("a.txt", b"a"), purpose="assistants", extra_headers={"x-tollgate-provider": "azure"}
        )
        assert client.files.retrieve(made.id).id == made.id
    assert {request.path.partition("?")[0] for request in upstream.requests} == {
        "/openai/files",
        f"/openai/files/{made.id}",
    }
    assert all(request.path.endswith("?api-version=2024-10-21") for request in upstream.requests)


@pytest.mark.parametrize(
    ("path", "headers", "kind"),
    [
        ("/v1/files", {"anthropic-version": "2023-06-01"}, "anthropic"),
        ("/v1/messages/batches", {}, "anthropic"),
        ("/v1/files", {"x-goog-api-key": "TOKEN"}, "gemini"),
        ("/upload/v1beta/files", {"x-goog-api-key": "TOKEN"}, "gemini"),
        ("/v1beta/files", {}, "gemini"),
    ],
)
def test_what_others_keep_is_refused_in_their_own_words(
    everyday: Tenant, path: str, headers: dict[str, str], kind: str
) -> None:
    headers = {name: value.replace("TOKEN", everyday.token) for name, value in headers.items()}
    response = everyday.http().post(path, headers=headers, json={})
    assert response.status_code == 404
    error = response.json()["error"]
    assert "OpenAI's form alone" in error["message"]
    assert (error.get("status") == "NOT_FOUND") == (kind == "gemini")
    assert (response.json().get("type") == "error") == (kind == "anthropic")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/v1/files", "GET, POST"),
        ("POST", "/v1/files/file-1", "GET, DELETE"),
        ("GET", "/v1/batches/b/cancel", "POST"),
    ],
)
def test_another_verb_is_told_which_there_are(everyday: Tenant, method: str, path: str, allow: str) -> None:
    response = everyday.http().request(method, path)
    assert (response.status_code, response.headers["allow"]) == (405, allow)


def test_an_id_that_could_be_a_path_reaches_nobody(acme: Tenant, account: FakeAccount) -> None:
    for file in ("..%2Fmodels", "a%20b", "%00", "x" * 300):
        response = acme.http().get(f"/v1/files/{file}")
        assert response.status_code == 404
    assert account.asked == []


# --- Which account ---


def test_a_request_may_name_the_account(acme: Tenant, account: FakeAccount, upstream: FakeProvider) -> None:
    with FakeProvider() as elsewhere:
        other = FakeAccount("other")
        elsewhere.replies(other, always=True)
        acme.add_credential(elsewhere.url + "/v1", label="second", priority=200)
        client = acme.client()
        first = upload(client)
        second = upload(client, extra_headers={"x-tollgate-provider": "second"})
        assert (first.id in account.files, second.id in other.files) == (True, True)
        assert client.files.content(second.id).read() == b"hello", "an id leads to the account that made it"
        assert {each.id for each in client.files.list()} == {first.id, second.id}
        refused(
            lambda: upload(client, extra_headers={"x-tollgate-provider": "nobody"}),
            openai.InternalServerError,
            "no_credential",
        )


def test_a_policy_says_which_accounts_may_keep_files(acme: Tenant, account: FakeAccount) -> None:
    ruled(acme, denied_providers=["openai_compatible"])
    refused(lambda: upload(acme.client()), openai.PermissionDeniedError, "provider_not_allowed")
    assert account.asked == []


def test_a_drained_account_still_serves_what_it_keeps_and_gets_nothing_new(acme: Tenant, account: FakeAccount) -> None:
    client = acme.client()
    made = upload(client)
    credential_drain(credential=acme.credential, actor=ACTOR)

    def refuses() -> bool:
        try:
            upload(client)
        except openai.APIStatusError as error:
            return error.code == "no_credential"
        return False

    eventually(refuses, what="a drained credential")
    assert client.files.content(made.id).read() == b"hello"
    assert client.files.delete(made.id).deleted


def test_an_account_that_is_switched_off_is_named(acme: Tenant, account: FakeAccount) -> None:
    made = upload(acme.client())
    credential_disable(credential=acme.credential, actor=ACTOR)

    def refuses() -> bool:
        response = acme.http().get(f"/v1/files/{made.id}")
        return response.status_code == 502 and response.json()["error"]["code"] == "no_credential"

    eventually(refuses, what="a credential that is switched off")


# --- Policies, limits, refusals ---


def test_a_scope_opens_files_and_no_other(acme: Tenant, account: FakeAccount) -> None:
    _, plaintext = acme.issue_token(scopes=["batches"])
    refused(lambda: upload(acme.client(token=plaintext)), openai.PermissionDeniedError, "endpoint_not_allowed")
    _, plaintext = acme.issue_token(scopes=["files"])
    upload(acme.client(token=plaintext))


def test_a_policy_may_deny_files(acme: Tenant, account: FakeAccount) -> None:
    row, plaintext = acme.issue_token()
    inline_set(layer="token", token=row, fields={"denied_endpoints": ["files"]}, actor=ACTOR)
    refused(
        lambda: list(acme.client(token=plaintext).files.list()), openai.PermissionDeniedError, "endpoint_not_allowed"
    )


def test_limits_of_requests_count_lists_as_well(acme: Tenant, account: FakeAccount) -> None:
    ruled(acme, requests_per_minute=2)
    client = acme.client()
    upload(client)
    list(client.files.list())
    refused(lambda: list(client.files.list()), openai.RateLimitError, "rate_limit_exceeded")


@pytest.mark.parametrize(
    ("data", "files", "param"),
    [
        ({}, {"file": b"x"}, "purpose"),
        ({"purpose": "user_data"}, {}, "file"),
        ({"purpose": ["batch", "user_data"]}, {"file": b"x"}, "purpose"),
    ],
)
def test_a_file_that_lacks_something_is_refused(everyday: Tenant, data: Any, files: Any, param: str) -> None:
    everyday.upstream.reset()
    response = everyday.http().post("/v1/files", data=data, files=files or {"other": b"x"})
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)
    assert everyday.upstream.requests == []


def test_a_providers_refusal_is_the_clients_and_leaves_no_owner(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.fails(400, "No such purpose.", kind="invalid_request_error", code="bad_purpose", param="purpose")
    with pytest.raises(openai.BadRequestError) as caught:
        upload(acme.client(), purpose="user_data")
    assert caught.value.code == "bad_purpose"
    assert not OwnedObject.objects.filter(organization=acme.organization).exists()


def test_an_answer_without_an_id_is_none(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.answers({"object": "file"})
    refused(lambda: upload(acme.client()), openai.InternalServerError, "upstream_malformed")


def test_files_cost_nothing(acme: Tenant, account: FakeAccount) -> None:
    inline_set(layer="token", token=acme.token_row, fields={"unpriced": "deny"}, actor=ACTOR)
    upload(acme.client())
    record = acme.record()
    assert (record.cost_usd, record.flags, record.provider) == (None, [], "openai_compatible")


def test_large_contents_pass_as_they_come(acme: Tenant, account: FakeAccount) -> None:
    content = b"0123456789abcdef" * (1 << 18)  # 4 MiB
    made = upload(acme.client(), content)
    assert acme.client().files.content(made.id).read() == content


# --- References ---


@pytest.fixture
def two(acme: Tenant, upstream: FakeProvider, account: FakeAccount) -> Iterator[FakeAccount]:
    """A second account that serves the same model `both`."""
    with FakeProvider() as elsewhere:
        other = FakeAccount("other")
        elsewhere.replies(other, always=True)
        acme.add_credential(elsewhere.url + "/v1", label="second", priority=200)
        acme.add_model("both", credential=None)
        yield other


def chat(client: openai.OpenAI, *files: str, model: str = "both") -> Any:
    parts: Any = [{"type": "text", "text": "Look."}, *({"type": "file", "file": {"file_id": file}} for file in files)]
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": parts}])


def test_a_chat_about_a_file_goes_to_the_account_that_keeps_it(
    acme: Tenant, account: FakeAccount, two: FakeAccount
) -> None:
    client = acme.client()
    second = upload(client, extra_headers={"x-tollgate-provider": "second"})
    chat(client)
    assert account.asked == ["POST /chat/completions"]
    chat(client, second.id)
    assert two.asked == ["POST /files", "POST /chat/completions"]
    assert account.asked == ["POST /chat/completions"]


def test_a_chat_about_anothers_file_is_refused_and_names_the_field(
    acme: Tenant, account: FakeAccount, two: FakeAccount
) -> None:
    made = upload(acme.client())
    _, plaintext = rival(acme)
    for client, file in ((acme.client(token=plaintext), made.id), (acme.client(), "file-nobody")):
        error = refused(lambda c=client, f=file: chat(c, f), openai.NotFoundError, "object_not_found")  # type: ignore[misc]
        assert error.param == "messages[0].content[1].file.file_id"
    assert "POST /chat/completions" not in [*account.asked, *two.asked]


def test_files_of_two_accounts_in_one_request_are_refused(acme: Tenant, account: FakeAccount, two: FakeAccount) -> None:
    client = acme.client()
    files = [upload(client).id, upload(client, extra_headers={"x-tollgate-provider": "second"}).id]
    error = refused(lambda: chat(client, *files), openai.BadRequestError, "invalid_value")
    assert str(error.param).startswith("messages[0].content[")


def test_a_model_that_the_files_account_does_not_serve_is_refused(
    acme: Tenant, account: FakeAccount, two: FakeAccount
) -> None:
    client = acme.client()
    second = upload(client, extra_headers={"x-tollgate-provider": "second"})
    error = refused(lambda: chat(client, second.id, model="gpt-test"), openai.BadRequestError, "invalid_value")
    assert "does not serve 'gpt-test'" in error.message


def test_a_name_written_with_escapes_hides_nothing(acme: Tenant, account: FakeAccount) -> None:
    body = json.dumps({"model": "gpt-test", "messages": [{"role": "user", "content": [{"file": {"FILE": "file-x"}}]}]})
    response = acme.http().post(
        "/v1/chat/completions",
        content=body.replace("FILE", "\\u0066ile_id"),
        headers={"content-type": "application/json"},
    )
    assert (response.status_code, response.json()["error"]["code"]) == (404, "object_not_found")


def test_a_tools_own_schema_may_speak_of_file_ids(acme: Tenant, account: FakeAccount) -> None:
    schema = {"type": "object", "properties": {"file_id": {"type": "string"}}, "default": {"file_id": "abc"}}
    tools: Any = [{"type": "function", "function": {"name": "open", "parameters": schema}}]
    answer = acme.client().chat.completions.create(
        model="gpt-test", messages=[{"role": "user", "content": "hi"}], tools=tools
    )
    assert answer.choices


# --- Without the database, and races ---


def test_an_owner_that_cannot_be_written_down_leaves_no_file_behind(
    acme: Tenant, account: FakeAccount, upstream: FakeProvider
) -> None:
    """The table refuses the row: as if PostgreSQL had gone between the question and the answer."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE objects_ownedobject ADD CONSTRAINT none_now CHECK (false) NOT VALID")
    try:
        refused(lambda: upload(acme.client()), openai.InternalServerError, "objects_unavailable")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE objects_ownedobject DROP CONSTRAINT none_now")
    assert account.files == {}
    assert [call.split(" ")[0] for call in account.asked] == ["POST", "DELETE"]


def test_many_files_made_at_once_are_all_owned(acme: Tenant, account: FakeAccount) -> None:
    made: list[str] = []
    failures: list[BaseException] = []

    def make() -> None:
        try:
            with httpx.Client(base_url=acme.gateway.url, headers={"authorization": f"Bearer {acme.token}"}) as http:
                for _ in range(5):
                    answer = http.post("/v1/files", data={"purpose": "user_data"}, files={"file": b"x"}, timeout=30)
                    made.append(answer.raise_for_status().json()["id"])
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not failures
    assert {row.upstream_id for row in OwnedObject.objects.filter(service=acme.service)} == set(made)
    assert len(set(made)) == 40
    for response in (acme.http().get(f"/v1/files/{made[0]}"),):
        assert recorded(response.headers["x-request-id"]).status == 200
