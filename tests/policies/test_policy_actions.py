"""What the policies' actions promise: one form for every field, a remedy in every refusal, and nothing half-saved."""

import threading
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from apps.core.actor import Actor
from apps.orgs.actions import organization_create
from apps.orgs.models import Organization
from apps.policies import fields as policy_fields
from apps.policies.actions.policies import (
    inline_set,
    policy_attach,
    policy_create,
    policy_delete,
    policy_detach,
    policy_update,
)
from apps.policies.effective import LIST_NAMES, RULE_FIELDS, set_fields
from apps.policies.fields import set_policy_fields
from apps.policies.models import (
    CHOICE_FIELDS,
    COUNT_FIELDS,
    LIST_FIELDS,
    MOST_COUNT,
    NUMBER_FIELDS,
    SWITCH_FIELDS,
    Attachment,
    Budget,
    BudgetScope,
    Policy,
    Window,
)
from apps.policies.selectors.policies import effective_for_token, inline_policy
from apps.providers.actions import credential_add
from apps.providers.models import Credential
from apps.services.actions import service_create, token_issue
from apps.services.models import Service, Token
from tests.control.recorded import events


@pytest.fixture
def token(service: Service, actor: Actor) -> Token:
    return token_issue(service=service, name="ci", actor=actor)[0]


def refused(error: pytest.ExceptionInfo[ValidationError], field: str) -> str:
    assert list(error.value.message_dict) == [field]
    return " ".join(error.value.message_dict[field])


def make(organization: Organization | None, actor: Actor, name: str = "interns", **fields: Any) -> Policy:
    return policy_create(organization=organization, name=name, fields=fields, actor=actor)


# --- Fields ---


def test_every_field_of_a_policy_can_be_set_and_has_its_rule() -> None:
    assert set(policy_fields._READERS) == {*RULE_FIELDS, "name"}
    assert set(LIST_NAMES) == set(LIST_FIELDS)
    assert {*NUMBER_FIELDS, *LIST_FIELDS, *CHOICE_FIELDS, *SWITCH_FIELDS, "pinned_credential"} == set(RULE_FIELDS)


def test_what_is_written_is_kept_in_one_form(acme: Organization, actor: Actor) -> None:
    policy = make(
        acme,
        actor,
        name="  Interns ",
        allowed_models=[" gpt-4o* ", "GPT-4O*", "o3"],
        denied_providers=["OpenAI"],
        allowed_endpoints=["Models", "chat_completions"],
        allowed_networks=["10.0.0.0/8", "192.0.2.7", "2001:DB8::/32"],
        allowed_hours=["Mon-Fri   08:00-18:00"],
        requests_per_minute=" 60 ",
        max_output_tokens=0,
        unpriced="DENY",
        fallback_on=["Context_Length", "content_filter", "context_length"],
        hedge_after="250",
        untranslatable=" Strict",
        hide_served=True,
        cache=False,
    )
    policy.refresh_from_db()

    assert policy.name == "Interns"
    assert set_fields(policy) == {
        "allowed_models": ["gpt-4o*", "o3"],
        "denied_providers": ["openai"],
        "allowed_endpoints": ["models", "chat_completions"],
        "allowed_networks": ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"],
        "allowed_hours": ["mon-fri 08:00-18:00"],
        "requests_per_minute": 60,
        "max_output_tokens": 0,
        "unpriced": "deny",
        "fallback_on": ["context_length", "content_filter"],
        "hedge_after": 250,
        "untranslatable": "strict",
        "hide_served": True,
        "cache": False,
    }
    [event] = events("policy.created")
    assert (event.after["name"], event.after["max_output_tokens"], event.after["cache"]) == ("Interns", 0, False)
    assert event.after["tokens_per_minute"] is None


@pytest.mark.parametrize(
    ("field", "value", "remedy"),
    [
        *((field, -1, "use 0 for none allowed") for field in COUNT_FIELDS),
        ("requests_per_minute", MOST_COUNT + 1, f"use at most {MOST_COUNT}"),
        ("requests_per_minute", 10**40, f"use at most {MOST_COUNT}"),
        ("requests_per_minute", "9" * 5_000, "is not a whole number"),
        ("cache_seconds", "-5", "use 0 for none allowed"),
        ("hedge_after", "soon", "soon is not a whole number"),
        ("fallback_on", ["timeout"], "timeout is no reason to try the next route: use content_filter, context_length"),
        ("fallback_on", "content_filter", "is not a list"),
        ("untranslatable", "ignore", "use one of strict, warn, drop"),
        ("hide_served", "yes", "use yes, no, or nothing"),
        ("max_input_tokens", "many", "many is not a whole number"),
        ("max_input_tokens", 1.5, "1.5 is not a whole number"),
        ("max_input_tokens", float("nan"), "nan is not a whole number"),
        ("max_input_tokens", "1e3", "1e3 is not a whole number"),
        ("max_input_tokens", True, "True is not a whole number"),
        ("max_input_tokens", "\u0661", "is not a whole number"),
        ("allowed_models", [""], "leave it out"),
        ("allowed_models", ["  "], "leave it out"),
        ("allowed_models", [None], "leave it out"),
        ("allowed_models", ["gpt 4"], "use letters, digits"),
        ("allowed_models", ["gpt-[45]*"], "use letters, digits"),
        ("denied_models", ["gpt-\x07"], "control character"),
        ("denied_models", ["a" * 256], "at most 255 characters"),
        ("denied_models", "gpt-4o", "is not a list"),
        ("denied_models", 5, "is not a list"),
        ("denied_models", [f"m{number}" for number in range(1_001)], "at most 1000"),
        ("allowed_providers", ["openia"], "openia is no provider: use openai, azure_openai"),
        ("denied_providers", ["*"], "is no provider"),
        ("allowed_endpoints", ["chat"], "chat is no endpoint: use chat_completions"),
        ("allowed_networks", ["10.0.0.5/8"], "write 10.0.0.0/8, or 10.0.0.5 alone"),
        ("allowed_networks", ["10.0.0.0/33"], "is no network: write it as"),
        ("allowed_networks", ["example.com"], "is no network: write it as"),
        ("allowed_networks", ["::ffff:10.0.0.0/104"], "write 10.0.0.0/8"),
        ("allowed_hours", ["always"], "'always' is not a time of the week: write it as"),
        ("allowed_hours", ["08:00-08:00"], "write 00:00-24:00"),
        ("unpriced", "maybe", "use one of deny_with_budget, deny, flag, allow"),
        ("hold_estimate", 5, "use one of worst_case, typical"),
        ("preferred_provider", "openia", "use one of openai"),
        ("cache", "perhaps", "use yes, no, or nothing"),
        ("cache", 1, "use yes, no, or nothing"),
        ("name", "", "Give the policy a name"),
        ("name", "a\nb", "control characters"),
        ("name", "n" * 101, "at most 100 characters"),
    ],
)
def test_bad_input_is_refused_by_field_with_its_remedy(
    acme: Organization, actor: Actor, field: str, value: Any, remedy: str
) -> None:
    with pytest.raises(ValidationError) as error:
        make(acme, actor, **{field: value})

    assert remedy in refused(error, field)
    assert not Policy.objects.exists()
    assert not events("policy.created")


def test_everything_that_is_wrong_is_said_at_once(acme: Organization, actor: Actor) -> None:
    with pytest.raises(ValidationError) as error:
        make(acme, actor, requests_per_minute=-1, allowed_hours=["x"], cache_seconds=5)
    assert set(error.value.message_dict) == {"requests_per_minute", "allowed_hours"}


@pytest.mark.parametrize(
    "field",
    ["allowed_models", "requests_per_minute", "unpriced", "cache", "cache_seconds", "fallback_on", "hide_served"],
)
@pytest.mark.parametrize("empty", [None, "", []])
def test_nothing_is_not_set(acme: Organization, actor: Actor, field: str, empty: Any) -> None:
    if empty == [] and field not in LIST_FIELDS:
        return
    policy = make(acme, actor, **{field: empty})
    policy.refresh_from_db()
    assert set_fields(policy) == {}


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text() | st.integers())


@given(st.dictionaries(st.sampled_from([name for name in RULE_FIELDS if name != "pinned_credential"]), ANYTHING))
def test_any_input_is_taken_or_refused_by_field(values: dict[str, Any]) -> None:
    policy = Policy()
    try:
        set_policy_fields(policy, values)
    except ValidationError as error:
        wrong = error.message_dict
        assert set(wrong) <= set(RULE_FIELDS)
    else:
        policy.clean_fields(exclude=["organization"])
        again = {name: getattr(policy, name) for name in values}
        set_policy_fields(policy, again)
        assert {name: getattr(policy, name) for name in values} == again


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"allowed_models": ["gpt-4o"]}, {"denied_models": ["GPT-4o"]}),
        ({"denied_providers": ["openai"]}, {"allowed_providers": ["openai"]}),
    ],
)
def test_a_name_both_allowed_and_denied_is_refused_also_when_they_come_apart(
    acme: Organization, actor: Actor, first: dict[str, Any], second: dict[str, Any]
) -> None:
    policy = make(acme, actor, **first)
    with pytest.raises(ValidationError) as error:
        policy_update(policy=policy, fields=second, actor=actor)
    denied = next(name for name in (*first, *second) if name.startswith("denied"))
    assert "both allowed and denied" in refused(error, denied)


@pytest.mark.parametrize("lists", [{"denied_providers": ["openai"]}, {"allowed_providers": ["sandbox"]}])
def test_a_provider_that_the_policy_denies_is_not_preferred(
    acme: Organization, actor: Actor, lists: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError) as error:
        make(acme, actor, preferred_provider="openai", **lists)
    assert "allow it, or prefer another" in refused(error, "preferred_provider")


def test_a_field_that_no_policy_has_is_a_mistake_of_ours(acme: Organization, actor: Actor) -> None:
    with pytest.raises(TypeError, match="requests_per_hour"):
        make(acme, actor, requests_per_hour=5)


# --- Pinned credentials ---


def test_a_policy_pins_credentials_of_its_own_organization_or_the_installation(
    acme: Organization, zeta: Organization, credential: Credential, actor: Actor
) -> None:
    hosted = credential_add(
        organization=None,
        provider="openai_compatible",
        label="hosted",
        base_url=credential.base_url,
        secret="",
        actor=actor,
    )
    for number, pinned in enumerate((credential, hosted)):
        assert make(acme, actor, name=f"p{number}", pinned_credential=pinned).pinned_credential == pinned
    with pytest.raises(ValidationError) as error:
        make(zeta, actor, pinned_credential=credential)
    assert "belongs to another organization" in refused(error, "pinned_credential")
    with pytest.raises(ValidationError) as error:
        make(None, actor, pinned_credential=credential)
    assert "belongs to one organization" in refused(error, "pinned_credential")
    assert make(None, actor, pinned_credential=hosted).pinned_credential == hosted
    with pytest.raises(ValidationError) as error:
        make(acme, actor, name="x", pinned_credential=credential, allowed_providers=["openai"])
    assert "own lists deny" in refused(error, "pinned_credential")


# --- Names, changes, deletion ---


def test_a_name_is_given_once_whatever_its_case_in_each_organization(
    acme: Organization, zeta: Organization, actor: Actor
) -> None:
    make(acme, actor, name="Interns")
    make(zeta, actor, name="interns")
    make(None, actor, name="interns")
    other = make(acme, actor, name="staff")
    with pytest.raises(ValidationError) as error:
        make(acme, actor, name="INTERNS")
    assert "exists" in refused(error, "name")
    with pytest.raises(ValidationError) as error:
        policy_update(policy=other, fields={"name": "interns"}, actor=actor)
    assert "exists" in refused(error, "name")
    assert policy_update(policy=other, fields={"name": "STAFF"}, actor=actor).name == "STAFF"


def test_a_change_leaves_the_rest_and_notes_what_changed(acme: Organization, actor: Actor) -> None:
    policy = make(acme, actor, requests_per_minute=5, unpriced="flag")

    changed = policy_update(policy=policy, fields={"requests_per_minute": 0, "cache_seconds": 9}, actor=actor)

    assert set_fields(changed) == {"requests_per_minute": 0, "unpriced": "flag", "cache_seconds": 9}
    [event] = events("policy.updated")
    assert event.before == {"requests_per_minute": 5, "cache_seconds": None}
    assert event.after == {"requests_per_minute": 0, "cache_seconds": 9}
    policy_update(policy=policy, fields={"requests_per_minute": 0}, actor=actor)
    assert len(events("policy.updated")) == 1


def test_a_refused_change_changes_nothing(acme: Organization, actor: Actor) -> None:
    policy = make(acme, actor, requests_per_minute=5)
    with pytest.raises(ValidationError):
        policy_update(policy=policy, fields={"requests_per_minute": 6, "tokens_per_minute": -1}, actor=actor)
    policy.refresh_from_db()
    assert policy.requests_per_minute == 5


def test_a_policy_in_use_is_not_deleted_and_says_where(acme: Organization, token: Token, actor: Actor) -> None:
    policy = make(acme, actor)
    policy_attach(policy=policy, layer="organization", organization=acme, actor=actor)
    policy_attach(policy=policy, layer="token", token=token, actor=actor)
    with pytest.raises(ValidationError) as error:
        policy_delete(policy=policy, actor=actor)
    assert "organization Acme" in str(error.value)
    assert "token ci (tg_live_" in str(error.value)

    policy_detach(policy=policy, layer="organization", organization=acme, actor=actor)
    policy_detach(policy=policy, layer="token", token=token, actor=actor)
    budget = Budget.objects.create(
        organization=acme, scope=BudgetScope.POLICY, policy=policy, window=Window.DAY, limit_usd=Decimal(5)
    )
    with pytest.raises(ValidationError, match="5 USD"):
        policy_delete(policy=policy, actor=actor)
    budget.delete()
    policy_delete(policy=policy, actor=actor)
    assert not Policy.objects.exists()
    assert events("policy.deleted")[0].before["name"] == "interns"
    with pytest.raises(ValidationError, match="gone"):
        policy_update(policy=policy, fields={}, actor=actor)


# --- Where they hold ---


def test_attaching_replaces_in_one_step_and_notes_both(acme: Organization, token: Token, actor: Actor) -> None:
    strict, mild = make(acme, actor, name="strict", requests_per_minute=1), make(acme, actor, name="mild")

    assert policy_attach(policy=strict, layer="token", token=token, actor=actor) is None
    assert policy_attach(policy=strict, layer="token", token=token, actor=actor) is None
    assert len(events("policy.attached")) == 1
    assert policy_attach(policy=mild, layer="token", token=token, actor=actor) == strict
    assert [event.target_label for event in events("policy.attached")] == ["strict", "mild"]
    assert [event.target_label for event in events("policy.detached")] == ["strict"]
    assert effective_for_token(token).limits == ()
    assert not policy_detach(policy=strict, layer="token", token=token, actor=actor)
    assert policy_detach(policy=mild, layer="token", token=token, actor=actor)
    assert not Attachment.objects.exists()


def test_a_policy_holds_at_every_layer_of_its_own_organization(
    acme: Organization, service: Service, token: Token, actor: Actor
) -> None:
    policy, general = make(acme, actor, requests_per_minute=7), make(None, actor, requests_per_minute=9)
    policy_attach(policy=policy, layer="organization", organization=acme, actor=actor)
    policy_attach(policy=policy, layer="service", service=service, actor=actor)
    policy_attach(policy=policy, layer="token", token=token, actor=actor)
    policy_attach(policy=general, layer="installation", actor=actor)

    assert [(limit.scope, limit.limit, limit.layer) for limit in effective_for_token(token).limits] == [
        ("token", 7, "token"),
        ("service", 7, "service"),
        ("organization", 7, "organization"),
    ]


def test_nothing_of_another_organization_is_attached(
    acme: Organization, zeta: Organization, service: Service, token: Token, actor: Actor
) -> None:
    foreign, general, own = make(zeta, actor), make(None, actor), make(acme, actor)
    for policy in (foreign, general):
        for place in (
            {"layer": "organization", "organization": acme},
            {"layer": "service", "service": service},
            {"layer": "token", "token": token},
        ):
            with pytest.raises(ValidationError) as error:
                policy_attach(policy=policy, actor=actor, **place)
            refused(error, "policy")
    with pytest.raises(ValidationError) as error:
        policy_attach(policy=own, layer="installation", actor=actor)
    assert "belongs to one organization" in refused(error, "policy")
    with pytest.raises(ValidationError) as error:
        policy_attach(policy=foreign, layer="token", organization=zeta, token=token, actor=actor)
    assert "belongs to another organization" in refused(error, "token")
    assert not Attachment.objects.exists()


def test_a_place_is_named_whole_and_alone(acme: Organization, service: Service, token: Token, actor: Actor) -> None:
    policy = make(acme, actor)
    for place in (
        {"layer": "service"},
        {"layer": "token"},
        {"layer": "organization"},
        {"layer": "galaxy"},
        {"layer": "service", "service": service, "token": token},
        {"layer": "organization", "organization": acme, "token": token},
        {"layer": "installation", "organization": acme},
    ):
        with pytest.raises(ValidationError):
            policy_attach(policy=policy, actor=actor, **place)
    assert not Attachment.objects.exists()


# --- Rules of one place ---


def test_rules_of_one_place_come_with_the_first_field_and_go_with_the_last(token: Token, actor: Actor) -> None:
    place = {"layer": "token", "token": token, "actor": actor}

    assert inline_set(fields={"requests_per_minute": None}, **place) is None
    made = inline_set(fields={"requests_per_minute": 0}, **place)
    assert made is not None
    assert made.name == ""
    inline_set(fields={"unpriced": "deny"}, **place)
    [limit] = effective_for_token(token).limits
    assert (limit.limit, limit.policy_name) == (0, "")
    assert effective_for_token(token).unpriced == "deny"

    assert inline_set(fields={"requests_per_minute": None}, **place) == made
    assert inline_set(fields={"unpriced": ""}, **place) is None
    assert not Policy.objects.exists()
    assert not Attachment.objects.exists()
    assert [event.action for event in events() if event.action.startswith("policy.")] == [
        "policy.created",
        "policy.updated",
        "policy.updated",
        "policy.deleted",
    ]
    assert events("policy.created")[0].after["layer"] == "token"


def test_rules_of_one_place_are_neither_named_nor_attached_elsewhere(
    acme: Organization, service: Service, token: Token, actor: Actor
) -> None:
    made = inline_set(layer="service", service=service, fields={"cache": False}, actor=actor)
    assert made is not None
    with pytest.raises(ValidationError):
        policy_attach(policy=made, layer="token", token=token, actor=actor)
    with pytest.raises(ValidationError):
        policy_update(policy=made, fields={"name": "x"}, actor=actor)
    with pytest.raises(ValidationError):
        policy_delete(policy=made, actor=actor)
    with pytest.raises(ValidationError):
        inline_set(layer="service", service=service, fields={"name": "x"}, actor=actor)
    Budget.objects.create(organization=acme, scope="policy", policy=made, window="day", limit_usd=Decimal(5))
    with pytest.raises(ValidationError, match="Budgets hang on"):
        inline_set(layer="service", service=service, fields={"cache": None}, actor=actor)
    assert inline_policy("service", organization=acme, service=service) == made


def test_the_installation_has_rules_of_its_own(acme: Organization, token: Token, actor: Actor) -> None:
    inline_set(layer="installation", fields={"max_output_tokens": 100}, actor=actor)
    assert effective_for_token(token).max_output_tokens == 100
    assert effective_for_token(token).sources["max_output_tokens"].describe() == "the installation's own rules"


def test_rules_of_two_organizations_do_not_mix(
    acme: Organization, zeta: Organization, token: Token, actor: Actor
) -> None:
    inline_set(layer="organization", organization=zeta, fields={"denied_models": ["*"]}, actor=actor)
    other = service_create(organization=zeta, name="other", actor=actor)
    inline_set(layer="service", service=other, fields={"requests_per_minute": 0}, actor=actor)
    assert effective_for_token(token).layers == ()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("layer", ["installation", "organization"])
def test_two_writers_to_one_place_leave_one_set_of_rules(actor: Actor, layer: str) -> None:
    acme = organization_create(name="Acme", slug="acme-racing", actor=actor)
    place = {"layer": layer, "organization": None if layer == "installation" else acme}
    ready = threading.Barrier(4)
    failed: list[BaseException] = []

    def write(field: str) -> None:
        try:
            ready.wait(timeout=10)
            inline_set(fields={field: 1}, actor=actor, **place)
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    names = list(COUNT_FIELDS[:4])
    threads = [threading.Thread(target=write, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)

    assert failed == []
    [row] = Attachment.objects.filter(layer=layer)
    assert set_fields(row.policy) == dict.fromkeys(names, 1)
