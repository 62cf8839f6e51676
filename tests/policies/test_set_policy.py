"""What set_policy promises: all or nothing, the same twice, "none" unsets, 0 is zero, and wrong usage is told from refusal."""

from typing import Any

import pytest

from apps.core.actor import Actor
from apps.orgs.models import Organization
from apps.policies.effective import set_fields
from apps.policies.models import Attachment, Policy
from apps.policies.selectors.policies import effective_for_token, inline_policy
from apps.providers.models import Credential
from apps.services.actions import service_create, token_issue
from apps.services.models import Service, Token
from tests.control.conftest import Run
from tests.control.recorded import events


@pytest.fixture
def token(service: Service, actor: Actor) -> Token:
    return token_issue(service=service, name="ci", actor=actor)[0]


def test_a_policy_is_created_attached_and_shown(
    run: Run, service: Service, token: Token, credential: Credential
) -> None:
    ran = run(
        "set_policy", "--org", "acme", "--name", "interns",
        "--allowed-models", "gpt-4o*, o3", "--denied-providers", "sandbox", "--allowed-endpoints", "chat_completions",
        "--allowed-networks", "10.0.0.0/8,192.0.2.7", "--allowed-hours", "mon-fri 08:00-18:00; sat,sun 10:00-14:00",
        "--requests-per-minute", "60", "--max-output-tokens", "0", "--unpriced", "deny", "--cache", "no",
        "--fallback-on", "content_filter,context_length", "--hedge-after", "0", "--untranslatable", "drop",
        "--hide-served", "yes",
        "--pinned-credential", "main", "--attach-to", "org", "--attach-to", "service", service.name,
        "--attach-to", "token", str(token.pk),
    )  # fmt: skip

    assert (ran.code, ran.err) == (0, "Created policy interns.\n")
    assert ran.out.splitlines() == [
        "Policy interns of Acme:",
        "  allowed-models                gpt-4o*, o3",
        "  denied-providers              sandbox",
        "  allowed-endpoints             chat_completions",
        "  allowed-networks              10.0.0.0/8, 192.0.2.7/32",
        "  allowed-hours                 mon-fri 08:00-18:00; sat,sun 10:00-14:00",
        "  requests-per-minute           60",
        "  max-output-tokens             0",
        "  unpriced                      deny",
        "  pinned-credential             main",
        "  fallback-on                   content_filter, context_length",
        "  hedge-after                   0",
        "  untranslatable                drop",
        "  hide-served                   yes",
        "  cache                         no",
        f"Holds for: organization Acme, service {service}, token {token}.",
    ]
    effective = effective_for_token(token)
    assert [limit.scope for limit in effective.limits] == ["token", "service", "organization"]
    assert effective.pinned_credential == credential.pk.hex
    assert {event.door for event in events("policy.attached")} == {"command"}


def test_the_same_again_changes_nothing(run: Run, token: Token) -> None:
    words = ("set_policy", "--org", "acme", "--name", "interns", "--requests-per-minute", "5", "--attach-to", "org")
    first = run(*words)
    before = Policy.objects.count(), Attachment.objects.count(), len(events("policy.updated"))

    second = run(*words)

    assert (second.code, second.err, second.out) == (0, "", first.out)
    assert (Policy.objects.count(), Attachment.objects.count(), len(events("policy.updated"))) == before
    assert run("set_policy", "--org", "acme", "--name", "INTERNS").out == first.out


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--allowed-models", "a,b*"),
        ("--allowed-hours", "08:00-18:00"),
        ("--requests-per-minute", "0"),
        ("--unpriced", "flag"),
        ("--cache", "yes"),
        ("--cache-seconds", "0"),
        ("--fallback-on", "content_filter"),
        ("--hedge-after", "200"),
        ("--untranslatable", "strict"),
        ("--hide-served", "no"),
    ],
)
def test_none_unsets_and_what_is_left_out_stays(run: Run, acme: Organization, option: str, value: str) -> None:
    words = ("set_policy", "--org", "acme", "--name", "interns")
    run(*words, "--tokens-per-minute", "9", option, value)
    policy = Policy.objects.get()
    assert len(set_fields(policy)) == 2

    run(*words, option, "NONE")

    policy.refresh_from_db()
    assert set_fields(policy) == {"tokens_per_minute": 9}
    assert run(*words, option, "none").code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("--name", "x"),
        ("--org", "acme"),
        ("--org", "acme", "--installation", "--name", "x"),
        ("--org", "acme", "--name", "x", "--inline"),
        ("--org", "acme", "--inline"),
        ("--org", "acme", "--inline", "--attach-to", "org", "--detach-from", "org"),
        ("--org", "acme", "--name", "x", "--allowed-models", ""),
        ("--org", "acme", "--name", "x", "--allowed-models", ","),
        ("--org", "acme", "--name", "x", "--allowed-models", "a,none"),
        ("--org", "acme", "--name", "x", "--requests-per-minute", ""),
        ("--org", "acme", "--name", "x", "--cache", "maybe"),
        ("--org", "acme", "--name", "x", "--requests-per-hour", "5"),
        ("--org", "acme", "--name", "x", "--attach-to"),
        ("--org", "acme", "--name", "x", "--attach-to", "galaxy"),
        ("--org", "acme", "--name", "x", "--attach-to", "service"),
        ("--org", "acme", "--name", "x", "--attach-to", "installation"),
        ("--org", "acme", "--name", "x", "--attach-to", "org", "--detach-from", "org"),
        ("--installation", "--name", "x", "--attach-to", "org"),
    ],
)
def test_wrong_usage_is_told_and_does_nothing(run: Run, acme: Organization, words: tuple[str, ...]) -> None:
    ran = run("set_policy", *words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err
    assert not Policy.objects.exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--requests-per-minute", "-5"), "requests_per_minute: -5 is negative"),
        (("--requests-per-minute", "many"), "requests_per_minute: many is not a whole number"),
        (("--allowed-networks", "10.0.0.5/8"), "write 10.0.0.0/8"),
        (("--pinned-credential", "mian"), "There is no credential 'mian' to pin: there are main."),
        (("--attach-to", "service", "shpo"), "has no service 'shpo'"),
        (("--attach-to", "token", "zzzz"), "There is no token 'zzzz' of Acme"),
        (("--attach-to", "token", "tg_live_" + "a" * 49), "A token among the arguments can be read by others"),
    ],
)
def test_a_refusal_names_field_and_remedy_and_leaves_nothing(
    run: Run, credential: Credential, words: tuple[str, ...], sentence: str
) -> None:
    ran = run("set_policy", "--org", "acme", "--name", "interns", "--attach-to", "org", *words)
    assert (ran.code, ran.out) == (1, "")
    assert sentence in ran.err
    assert len(ran.err.splitlines()) == 1
    assert not Policy.objects.exists()


def test_places_of_another_organization_are_not_named(run: Run, token: Token, zeta: Organization, actor: Actor) -> None:
    other, _ = token_issue(service=service_create(organization=zeta, name="own", actor=actor), name="x", actor=actor)
    for place in (("service", "own"), ("token", str(other.pk)), ("token", other.hint)):
        assert run("set_policy", "--org", "acme", "--name", "x", "--attach-to", *place).code == 1
        assert run("set_policy", "--org", "acme", "--inline", "--cache", "no", "--attach-to", *place).code == 1
    assert not Attachment.objects.exists()


def test_a_token_is_named_by_its_last_four_characters_as_it_is_shown(run: Run, token: Token) -> None:
    for word in (token.hint, token.masked):
        ran = run("set_policy", "--org", "acme", "--name", "x", "--attach-to", "token", word)
        assert f"Holds for: token {token}." in ran.out


def test_attaching_says_which_policy_gave_way_and_detaching_frees(run: Run, token: Token) -> None:
    run("set_policy", "--org", "acme", "--name", "mild", "--attach-to", "org")

    ran = run("set_policy", "--org", "acme", "--name", "strict", "--requests-per-minute", "0", "--attach-to", "org")
    assert "It takes the place of policy mild for organization Acme." in ran.err
    assert "Holds for: nobody yet." in run("set_policy", "--org", "acme", "--name", "mild").out

    ran = run("set_policy", "--org", "acme", "--name", "strict", "--detach-from", "org")
    assert "Holds for: nobody yet." in ran.out
    assert effective_for_token(token).layers == ()
    assert (
        "It did not hold for organization Acme."
        in run("set_policy", "--org", "acme", "--name", "strict", "--detach-from", "org").err
    )


def test_a_place_has_rules_of_its_own(run: Run, service: Service, token: Token) -> None:
    words: tuple[Any, ...] = ("set_policy", "--org", "acme", "--inline", "--attach-to", "service", service.name)

    ran = run(*words, "--max-output-tokens", "100")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [f"Own rules of service {service}:", "  max-output-tokens             100"]
    assert effective_for_token(token).max_output_tokens == 100

    assert run(*words, "--max-output-tokens", "none").out == f"Own rules of service {service}: none.\n"
    assert inline_policy("service", organization=service.organization, service=service) is None


def test_the_installation_has_policies_for_all(run: Run, token: Token) -> None:
    ran = run(
        "set_policy", "--installation", "--name", "base", "--max-output-tokens", "9", "--attach-to", "installation"
    )
    assert (ran.code, ran.out.splitlines()[0]) == (0, "Policy base of the installation:")
    assert "Holds for: the installation." in ran.out
    run("set_policy", "--installation", "--inline", "--cache", "no", "--attach-to", "installation")
    effective = effective_for_token(token)
    assert (effective.max_output_tokens, effective.cache) == (9, False)
