"""What the commands promise to scripts: the result alone on stdout, one sentence on stderr, and exit codes that mean something."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils.timezone import now

from apps.core.actor import Actor
from apps.orgs.models import Membership, Organization, Role, User
from apps.providers.models import Credential, ProviderModel
from apps.services.actions import token_issue
from apps.services.models import Service, Token, TokenState
from apps.services.tokens import token_is_well_formed
from tests.control.conftest import PASSWORD, SECRET, Run
from tests.control.recorded import events
from tests.support.provider import FakeProvider


def state(token: Token) -> TokenState:
    token.refresh_from_db()
    return token.state(now())


# --- setup, sign_in_link ---


def test_setup_creates_organization_and_owner_and_prints_a_link(run: Run) -> None:
    ran = run("setup", "--org", "Acme Inc.", "--email", "ana@acme.test")

    assert (ran.code, ran.err) == (0, "")
    assert "Created organization Acme Inc. (acme-inc)." in ran.out
    assert "/sign-in/" in ran.out
    assert Membership.objects.get(organization__slug="acme-inc").role == Role.OWNER
    assert [event.door for event in events("organization.created")] == ["command"]


def test_setup_reads_the_password_and_then_prints_no_link(run: Run) -> None:
    ran = run("setup", "--org", "Acme", "--email", "ana@acme.test", TOLLGATE_ADMIN_PASSWORD=PASSWORD)

    assert ran.code == 0
    assert "/sign-in/" not in ran.out
    assert PASSWORD not in ran.out + ran.err
    assert User.objects.get(email="ana@acme.test").check_password(PASSWORD)


def test_setup_reads_the_password_from_a_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")

    assert run("setup", "--org", "A", "--email", "a@acme.test", TOLLGATE_ADMIN_PASSWORD_FILE=str(file)).code == 0
    assert User.objects.get(email="a@acme.test").check_password(PASSWORD)


def test_setup_again_changes_nothing_and_says_so(run: Run, owner: User) -> None:
    before = len(events())

    ran = run("setup", "--org", "Acme", "--email", owner.email, TOLLGATE_ADMIN_PASSWORD="another long passphrase")

    assert ran.code == 0
    assert "Organization Acme (acme) exists." in ran.out
    assert "The password is left as it was." in ran.out
    assert len(events()) == before
    owner.refresh_from_db()
    assert owner.check_password(PASSWORD)


def test_setup_with_a_weak_password_names_the_variable_and_leaves_nothing(run: Run) -> None:
    ran = run("setup", "--org", "Acme", "--email", "ana@acme.test", TOLLGATE_ADMIN_PASSWORD="short")

    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("TOLLGATE_ADMIN_PASSWORD: ")
    assert not Organization.objects.filter(slug="acme").exists()


def test_a_sign_in_link_alone_goes_to_stdout(run: Run, owner: User) -> None:
    ran = run("sign_in_link", "--email", owner.email.upper())

    assert (ran.code, ran.err) == (0, "")
    assert len(ran.out.split()) == 1
    assert "/sign-in/" in ran.out


def test_a_sign_in_link_for_nobody_is_refused(run: Run) -> None:
    ran = run("sign_in_link", "--email", "nobody@acme.test")
    assert (ran.code, ran.out) == (1, "")
    assert "manage.py setup" in ran.err


def test_platform_staff_are_made_listed_and_unmade(run: Run, settings: Any) -> None:
    settings.TENANCY = "multi"  # where owners are none
    run("setup", "--org", "Acme", "--email", "owner@acme.test")
    assert run("platform_staff").out == ""

    made = run("platform_staff", "--email", "Ops@acme.test")

    assert (made.code, made.err) == (0, "")
    assert "/sign-in/" in made.out
    assert "is platform staff already" in run("platform_staff", "--email", "ops@acme.test").out
    run("platform_staff", "--email", "owner@acme.test")
    assert run("platform_staff").out == "ops@acme.test\nowner@acme.test\n"
    assert run("platform_staff", "--email", "owner@acme.test", "--undo").code == 0
    assert run("platform_staff").out == "ops@acme.test\n"
    changes = [(event.before, event.after) for event in events("user.updated")]
    assert changes == [({"is_superuser": was}, {"is_superuser": not was}) for was in (False, True)]
    assert run("platform_staff", "--email", "nobody@acme.test", "--undo").code == 1
    assert run("platform_staff", "--undo").code == 1


# --- services and tokens ---


def test_a_service_is_created_once(run: Run, acme: Organization) -> None:
    assert run("create_service", "--org", "acme", "--name", "web").out == "Created service web of Acme.\n"

    again = run("create_service", "--org", "acme", "--name", "web")
    assert (again.code, again.out) == (1, "")
    assert again.err == "A service with this name exists.\n"


def test_an_unknown_organization_is_answered_with_those_there_are(run: Run, acme: Organization) -> None:
    ran = run("create_service", "--org", "acne", "--name", "web")
    assert ran.code == 1
    assert "'acne'" in ran.err
    assert "acme" in ran.err


def test_a_token_alone_goes_to_stdout_and_the_explanation_to_stderr(run: Run, service: Service) -> None:
    ran = run("issue_token", "--org", "acme", "--service", service.name, "--name", "ci", "--expires", "90d")

    assert ran.code == 0
    assert token_is_well_formed(ran.out.strip())
    assert "shown this once" in ran.err
    token = Token.objects.get(service=service)
    assert token.expires_at is not None
    assert abs(token.expires_at - now() - timedelta(days=90)) < timedelta(minutes=5)
    assert str(token.pk) in ran.err


def test_quiet_says_nothing_else(run: Run, service: Service) -> None:
    ran = run(
        "issue_token", "--org", "acme", "--service", service.name, "--name", "ci", "--scopes", "models", "--quiet"
    )
    assert ran.err == ""
    assert token_is_well_formed(ran.out.strip())
    assert Token.objects.get(service=service).scopes == ["models"]


@pytest.mark.parametrize("expires", ["90", "0d", "-1d", "90y", "d", "1.5h"])
def test_a_length_of_time_that_is_none_is_wrong_usage(run: Run, service: Service, expires: str) -> None:
    ran = run("issue_token", "--org", "acme", "--service", service.name, "--name", "ci", f"--expires={expires}")
    assert (ran.code, ran.out) == (2, "")
    assert "30m, 12h, 90d or 4w" in ran.err


def test_an_unknown_scope_or_service_is_refused(run: Run, service: Service) -> None:
    scope = run("issue_token", "--org", "acme", "--service", service.name, "--name", "ci", "--scopes", "all")
    assert (scope.code, scope.out) == (1, "")
    assert "choose among" in scope.err

    unknown = run("issue_token", "--org", "acme", "--service", "nope", "--name", "ci")
    assert (unknown.code, unknown.out) == (1, "")
    assert service.name in unknown.err


def test_a_token_is_revoked_by_id_by_itself_on_stdin_and_by_its_end(run: Run, service: Service, actor: Actor) -> None:
    by_id, _ = token_issue(service=service, name="1", actor=actor)
    by_itself, plaintext = token_issue(service=service, name="2", actor=actor)
    by_end, _ = token_issue(service=service, name="3", actor=actor)

    assert run("revoke_token", str(by_id.pk)).code == 0
    assert run("revoke_token", "-", stdin=f"{plaintext}\n").code == 0
    assert run("revoke_token", "--org", "acme", "--service", service.name, "--hint", by_end.hint).code == 0

    assert {state(token) for token in (by_id, by_itself, by_end)} == {TokenState.REVOKED}


def test_revoking_again_succeeds_and_says_that_there_was_nothing_to_do(
    run: Run, service: Service, actor: Actor
) -> None:
    token, _ = token_issue(service=service, name="1", actor=actor)
    run("revoke_token", str(token.pk))

    ran = run("revoke_token", str(token.pk))
    assert ran.code == 0
    assert "Nothing to do" in ran.out


def test_a_token_among_the_arguments_is_refused_as_others_could_read_it(
    run: Run, service: Service, actor: Actor
) -> None:
    token, plaintext = token_issue(service=service, name="1", actor=actor)

    ran = run("revoke_token", plaintext)

    assert ran.code == 1
    assert "stdin" in ran.err
    assert plaintext not in ran.err
    assert state(token) == TokenState.LIVE


@pytest.mark.parametrize(
    ("words", "stdin", "code"),
    [
        ((), "", 2),
        (("not-an-id",), "", 2),
        (("00000000-0000-7000-8000-000000000000",), "", 1),
        (("-",), "tg_live_mistyped", 1),
        (("-",), "", 1),
        (("--hint", "abcd"), "", 2),
    ],
)
def test_a_token_that_is_not_named_well_is_refused(run: Run, words: tuple[str, ...], stdin: str, code: int) -> None:
    ran = run("revoke_token", *words, stdin=stdin)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err


# --- credentials and models ---


def add_words(upstream: FakeProvider) -> tuple[str, ...]:
    return (
        *("add_credential", "--org", "acme", "--provider", "openai_compatible", "--label", "main"),
        *("--base-url", f"{upstream.url}/v1", "--secret-env", "MY_KEY"),
    )


def test_a_credential_is_tested_and_added_with_its_models(
    run: Run, acme: Organization, upstream: FakeProvider, loopback: None
) -> None:
    upstream.answers({"data": [{"id": "one"}]})

    ran = run(*add_words(upstream), "--models", "one,two-embed", MY_KEY=SECRET)

    assert ran.code == 0
    assert "lists 1 models" in ran.err
    assert SECRET not in ran.out + ran.err
    credential = Credential.objects.get(organization=acme)
    assert credential.secret() == SECRET
    assert set(ProviderModel.objects.filter(credential=credential).values_list("name", "kind")) == {
        ("one", "chat"),
        ("two-embed", "embedding"),
    }


def test_a_credential_that_does_not_work_is_not_added_unless_untested(
    run: Run, acme: Organization, upstream: FakeProvider, loopback: None
) -> None:
    upstream.fails(401)

    ran = run(*add_words(upstream), MY_KEY=SECRET)
    assert (ran.code, ran.out) == (1, "")
    assert "refused the secret" in ran.err
    assert "--no-test" in ran.err
    assert not Credential.objects.filter(organization=acme).exists()

    assert run(*add_words(upstream), "--no-test", MY_KEY=SECRET).code == 0
    assert Credential.objects.filter(organization=acme).exists()
    assert len(upstream.requests) == 1


def test_a_variable_that_is_not_set_is_named(run: Run, acme: Organization, upstream: FakeProvider) -> None:
    ran = run(*add_words(upstream))
    assert (ran.code, ran.out) == (1, "")
    assert "MY_KEY is required" in ran.err


def test_a_hosted_credential_belongs_to_nobody(run: Run, upstream: FakeProvider, loopback: None) -> None:
    words = ("--provider", "sandbox", "--label", "box", "--base-url", f"{upstream.url}/v1", "--no-test")
    assert run("add_credential", "--hosted", *words).code == 0
    assert Credential.objects.get(label="box").organization is None


@pytest.mark.parametrize("owner", [(), ("--org", "acme", "--hosted")])
def test_a_credential_has_exactly_one_owner(run: Run, owner: tuple[str, ...]) -> None:
    assert run("add_credential", *owner, "--provider", "openai", "--label", "x").code == 2


def test_syncing_models_is_harmless_to_repeat(run: Run) -> None:
    run("sync_models")
    assert run("sync_models").out == "Added 0 models.\n"


# --- all of them ---


def test_from_python_a_refusal_is_an_exception(db: None) -> None:
    with pytest.raises(CommandError, match="no organization"):
        call_command("create_service", org="nope", name="x")


def test_from_a_shell_a_refusal_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    """The real thing, once: a process of its own, on a database that is not there."""
    import os

    ended = subprocess.run(
        [sys.executable, "-m", "django", "sync_models"],
        env={**os.environ, "DATABASE_URL": "postgresql://127.0.0.1:1/nothing"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("PostgreSQL cannot be reached: ")
    assert len(ended.stderr.splitlines()) == 1
