"""What applying a file promises: all or nothing, once, with an event for each write, and a difference that people can read."""

from decimal import Decimal
from typing import Any

import pytest

from apps.audit.models import AdminEvent
from apps.orgs.actions import member_add, user_create
from apps.orgs.models import Membership, Organization, Role, User
from apps.policies.actions.policies import policy_attach, policy_create
from apps.policies.models import Attachment, Budget, Policy, Webhook
from apps.policies.selectors.policies import effective_for_service
from apps.providers.actions import credential_add
from apps.providers.aliases.models import Alias
from apps.providers.models import Credential, Price, ProviderModel
from apps.services.actions import service_create, service_disable
from apps.services.models import Service
from tests.configuration.conftest import Apply
from tests.control.conftest import ACTOR, SECRET

WHOLE = """
version: 1
installation:
  credentials:
    - {label: shared, provider: anthropic, secret: {env: SHARED_KEY}, priority: 50}
  models:
    - {name: claude-opus-4-5, provider: anthropic, disabled: true}
    - {name: our-claude, provider: anthropic, upstream_name: claude-haiku-4-5}
  aliases:
    - {name: best, targets: [our-claude]}
  prices:
    - {provider: anthropic, model: our-claude, input: 1.5, output: 7, effective_from: 2026-01-01}
  rules: {max_output_tokens: 8000}
  policies:
    - {name: everywhere, denied_providers: [xai], attached_to: [installation]}
organizations:
  - slug: acme
    name: Acme
    timezone: Europe/Madrid
    members:
      - {email: Ana@acme.test, role: owner, reads_content: true}
      - {email: ben@acme.test, role: member}
    credentials:
      - label: main
        provider: openai
        secret: {env: ACME_KEY}
        weight: 3
        idle_timeout: 12.5
        drained: true
    prices:
      - {provider: openai, model: gpt-4o, input: 2.25, output: 9, effective_from: 2026-02-01}
      - {provider: openai, model: gpt-4o, tier: batch, input: 1, output: 4, effective_from: 2026-02-01T08:30:00Z}
    models:
      - {name: fast, provider: openai, credential: main, upstream_name: gpt-4o-mini, priced_as: gpt-4o}
      - {name: pics, provider: openai, kind: other}
    aliases:
      - name: smart
        targets: [gpt-4o, {model: our-claude, credential: {hosted: shared}}]
      - name: any-*
        strategy: weighted
        disabled: true
        targets: [{model: openai/*, weight: 3}, {model: fast, tier: 2}]
    rules: {requests_per_minute: 600, cache: false}
    services:
      - {name: shop}
      - {name: old, disabled: true, rules: {allowed_models: ["gpt-*"], concurrent_requests: 0}}
    policies:
      - name: careful
        allowed_models: [gpt-4o*, our-claude]
        allowed_networks: [10.0.0.0/8]
        allowed_hours: [mon-fri 08:00-18:00]
        requests_per_minute: 60
        unpriced: deny
        pinned_credential: {hosted: shared}
        attached_to: [organization, {service: shop}]
      - {name: unused, denied_models: ["*-preview"]}
    budgets:
      - {window: month, limit_usd: 50, alert_at: [50, 80, 100]}
      - {window: rolling, rolling_days: 7, limit_usd: 0.25, service: shop, action: alert}
      - {window: day, limit_usd: 5, end_user: "*"}
      - {window: total, limit_usd: 100, tag: team=search, disabled: true}
      - {window: week, limit_usd: 10, policy: careful}
    webhooks:
      - {url: "https://hooks.acme.test/budget", disabled: true}
"""
KEYS = {"SHARED_KEY": "sk-ant-shared-5678", "ACME_KEY": SECRET}


def of_commands() -> list[AdminEvent]:
    return list(AdminEvent.objects.filter(door="command").order_by("id"))


def test_everything_is_made_as_it_is_stated(apply: Apply) -> None:
    ran = apply(WHOLE, **KEYS)

    assert (ran.code, ran.err) == (0, "")
    acme = Organization.objects.get(slug="acme")
    assert acme.timezone == "Europe/Madrid"
    members = Membership.objects.filter(organization=acme).order_by("user__email")
    assert [(row.user.email, row.role) for row in members] == [("ana@acme.test", "owner"), ("ben@acme.test", "member")]
    assert [row.reads_content for row in members] == [True, False]
    main = Credential.objects.get(label="main")
    assert (main.organization, main.weight, main.idle_timeout, main.secret()) == (acme, 3, 12.5, SECRET)
    assert main.drained_at is not None
    assert ProviderModel.objects.get(name="fast").credential == main
    assert not ProviderModel.objects.get(name="claude-opus-4-5").enabled
    assert Price.objects.get(organization=acme, tier="batch").output == Decimal(4)
    smart = Alias.objects.get(name="smart")
    assert [(row.model, row.tier) for row in smart.targets.all()] == [("gpt-4o", 1), ("our-claude", 2)]
    assert smart.targets.get(tier=2).credential == Credential.objects.get(label="shared")
    assert Service.objects.get(name="old").disabled_at is not None
    shop = Service.objects.get(name="shop")
    effective = effective_for_service(shop)
    assert effective.max_output_tokens == 8000
    assert {limit.limit for limit in effective.limits} == {600, 60}
    assert Budget.objects.get(window="rolling").limit_usd == Decimal("0.25")
    assert not Webhook.objects.get().enabled


def test_the_second_time_there_is_nothing_to_do(apply: Apply) -> None:
    apply(WHOLE, **KEYS)
    before = len(of_commands())

    ran = apply(WHOLE, **KEYS)

    assert (ran.code, ran.out) == (0, "0 added, 0 changed, 0 removed, 28 unchanged.\n")
    assert [event.action for event in of_commands()[before:]] == []


def test_every_write_leaves_an_event_by_the_command(apply: Apply) -> None:
    ran = apply(WHOLE, **KEYS)

    told = [event.action for event in of_commands()]
    assert ran.out.endswith("\n27 added, 1 changed, 0 removed, 0 unchanged.\n")  # the catalogue's model was there
    assert {
        "organization.created",
        "user.created",
        "membership.created",
        "membership.updated",
        "credential.added",
        "credential.drained",
        "price.set",
        "model.added",
        "model.updated",
        "alias.added",
        "alias.updated",
        "service.created",
        "service.disabled",
        "policy.created",
        "policy.attached",
        "budget.created",
        "webhook.added",
        "webhook.disabled",
    } == set(told)
    assert {event.actor_label for event in of_commands()} == {"(command)"}
    assert AdminEvent.objects.exclude(door="command").count() == 0


def test_a_dry_run_shows_the_same_and_changes_nothing(apply: Apply) -> None:
    dry = apply(WHOLE, "--dry-run", **KEYS)

    assert dry.code == 2
    assert not Organization.objects.filter(slug="acme").exists()
    assert not of_commands()
    assert "Nothing was applied: this was a dry run." in dry.err
    assert apply(WHOLE, **KEYS).out == dry.out
    assert apply(WHOLE, "--dry-run", **KEYS).code == 0


def test_a_dry_run_refuses_what_would_be_refused(apply: Apply, acme: Organization) -> None:
    text = "version: 1\norganizations:\n- slug: acme\n  services:\n  - name: ''\n  - {name: a}\n"

    assert apply(text, "--dry-run").code == 1
    text = "version: 1\norganizations:\n- slug: acme\n  timezone: Nowhere/Atall\n"
    ran = apply(text, "--dry-run")
    assert ran.code == 1
    assert ran.err.startswith("tollgate.yaml:4: organizations[0].timezone: Nowhere/Atall is not a time zone")


def test_one_refusal_undoes_everything(apply: Apply, acme: Organization) -> None:
    text = """version: 1
organizations:
- slug: acme
  services:
  - name: shop
  policies:
  - name: careful
    attached_to: [{service: shop}]
  budgets:
  - window: month
    limit_usd: 50
    service: nowhere
  - window: rolling
    limit_usd: 5
"""
    ran = apply(text)

    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines() == [
        (
            "tollgate.yaml:12: organizations[0].budgets[0].service: Acme has no service 'nowhere': add it to the file, "
            "or mend the name"
        ),
        "tollgate.yaml:13: organizations[0].budgets[1]: rolling_days: A rolling window has from 2 to 366 days, today included.",
        "Nothing was applied.",
    ]
    assert not Service.objects.exists()
    assert not of_commands()


def test_differences_show_before_and_after(apply: Apply, acme: Organization) -> None:
    first = """version: 1
organizations:
- slug: acme
  services: [{name: shop}]
  policies:
  - {name: careful, requests_per_minute: 60, denied_models: [a, b]}
  budgets: [{window: day, limit_usd: 5}]
"""
    apply(first)

    ran = apply(
        first.replace("60", "120")
        .replace("denied_models: [a, b]", "attached_to: [{service: shop}]")
        .replace("limit_usd: 5", "limit_usd: 7.50")
        + "  webhooks: [{url: 'https://hooks.acme.test/x'}]\n"
    )

    assert ran.out.splitlines() == [
        "organization acme:",
        "  ~ policy careful",
        "      denied_models: a, b → none",
        "      requests_per_minute: 60 → 120",
        "      attached_to: none → service shop",
        "  ~ budget: day",
        "      limit_usd: 5 → 7.5",
        "  + webhook https://hooks.acme.test/x",
        "      `manage.py set_webhook --rotate-secret` prints the secret that it is signed with",
        "1 added, 2 changed, 0 removed, 2 unchanged.",
    ]


def test_what_is_added_is_shown_with_all_that_it_says(apply: Apply, acme: Organization) -> None:
    ran = apply("""version: 1
organizations:
- slug: acme
  members: [{email: ana@acme.test, role: owner}]
  aliases: [{name: smart, targets: [gpt-4o, {model: gpt-4o-mini, weight: 2}]}]
  budgets: [{window: month, limit_usd: 5}]
""")

    assert ran.out.splitlines()[1:-1] == [
        "  + member ana@acme.test",
        "      role: owner",
        "      a new account, without a password: `manage.py sign_in_link` lets its owner in",
        "  + alias smart",
        "      targets: gpt-4o (tier 1), gpt-4o-mini (tier 2 weight 2)",
        "  + budget: month",
        "      limit_usd: 5",
    ]


def test_what_is_written_otherwise_but_means_the_same_is_no_change(apply: Apply, acme: Organization) -> None:
    text = """version: 1
organizations:
- slug: acme
  policies:
  - {name: careful, allowed_networks: [10.0.0.1], allowed_hours: ["MON-FRI  08:00-18:00"], allowed_models: [a, a]}
  budgets: [{window: day, limit_usd: 5.000, tag: Team=search, alert_at: [80, 50]}]
  members: [{email: Ana@ACME.test, role: owner}]
"""
    assert apply(text).code == 0
    assert Policy.objects.get().allowed_networks == ["10.0.0.1/32"]
    before = len(of_commands())

    assert apply(text.replace("careful", "Careful").replace("Careful", "careful")).out.startswith("0 added, 0 changed")
    assert len(of_commands()) == before


def test_what_the_file_does_not_speak_of_stays(apply: Apply, acme: Organization, zeta: Organization) -> None:
    service_create(organization=acme, name="mine", actor=ACTOR)
    service_create(organization=zeta, name="theirs", actor=ACTOR)
    policy_create(organization=acme, name="kept", actor=ACTOR)
    text = "version: 1\norganizations:\n- slug: acme\n  services: [{name: shop}]\n"

    ran = apply(text)

    assert "1 not in the file and kept (--prune removes them)" in ran.out
    assert Service.objects.filter(disabled_at=None).count() == 3

    ran = apply(text, "--prune")

    assert "  - service mine" in ran.out
    assert sorted(Service.objects.filter(disabled_at=None).values_list("name", flat=True)) == ["shop", "theirs"]
    assert Policy.objects.filter(name="kept").exists()
    assert apply(text, "--prune").out == "0 added, 0 changed, 0 removed, 2 unchanged.\n"


def test_prune_removes_what_hangs_together_in_the_right_order(apply: Apply) -> None:
    apply(WHOLE, **KEYS)
    begin = WHOLE.index("    members:")
    kept = "    members:\n    - {email: ana@acme.test, role: owner}\n"
    empty = "".join(
        f"    {name}: []\n"
        for name in ("credentials", "prices", "models", "aliases", "services", "policies", "budgets", "webhooks")
    )

    ran = apply(WHOLE[:begin] + kept + empty + "    rules: {}\n", "--prune", **KEYS)

    assert ran.code == 0, ran.err
    acme = Organization.objects.get(slug="acme")
    for model in (ProviderModel, Alias, Budget, Webhook):
        assert not model.objects.filter(organization=acme).exists()
    assert not Attachment.objects.filter(organization=acme).exclude(service__name="old").exists()
    assert not Policy.objects.filter(organization=acme).exclude(name="").exists()
    assert not Price.objects.filter(organization=acme, withdrawn_at=None).exists()
    assert not Credential.objects.get(label="main").enabled
    assert [row.user.email for row in Membership.objects.filter(organization=acme)] == ["ana@acme.test"]
    assert User.objects.filter(email="ben@acme.test").exists()
    assert "0 removed" in apply(WHOLE[:begin] + kept + empty + "    rules: {}\n", "--prune", **KEYS).out


def test_the_last_owner_stays(apply: Apply, acme: Organization, owner: User) -> None:
    text = "version: 1\norganizations:\n- slug: acme\n  members: [{email: ben@acme.test, role: admin}]\n"

    ran = apply(text, "--prune")

    assert ran.code == 1
    assert "would be left without an owner" in ran.err
    assert not User.objects.filter(email="ben@acme.test").exists()


def test_an_organization_may_change_hands(apply: Apply, acme: Organization, owner: User) -> None:
    ben = user_create(email="ben@acme.test", password=None, actor=ACTOR)
    member_add(organization=acme, user=ben, role=Role.MEMBER, actor=ACTOR)
    text = (
        "version: 1\norganizations:\n- slug: acme\n  members:\n"
        f"  - {{email: {owner.email}, role: member}}\n  - {{email: ben@acme.test, role: owner}}\n"
    )

    assert apply(text).code == 0
    assert Membership.objects.get(user=ben).role == Role.OWNER
    assert Membership.objects.get(user=owner).role == Role.MEMBER


@pytest.mark.parametrize(("tenancy", "runs_it"), [("single", True), ("multi", False)])
def test_owners_of_a_file_run_the_installation_where_those_of_setup_do(
    apply: Apply, acme: Organization, settings: Any, tenancy: str, runs_it: bool
) -> None:
    settings.TENANCY = tenancy
    ben = user_create(email="ben@acme.test", password=None, actor=ACTOR)
    member_add(organization=acme, user=ben, role=Role.MEMBER, actor=ACTOR)
    people = "{email: ana@acme.test, role: owner}, {email: ben@acme.test, role: owner}"
    text = f"version: 1\norganizations:\n- slug: acme\n  members: [{people}]\n"

    assert apply(text).code == 0
    assert [user.is_superuser for user in User.objects.order_by("email")] == [runs_it, runs_it]
    assert apply(text).out.startswith("0 added, 0 changed")


def test_people_made_by_a_file_may_do_no_more_than_their_role(apply: Apply, acme: Organization, owner: User) -> None:
    apply("version: 1\norganizations:\n- slug: acme\n  members: [{email: ben@acme.test, role: member}]\n")

    ben = User.objects.get(email="ben@acme.test")
    assert not ben.is_superuser
    assert not ben.has_usable_password()


# --- Secrets ---

ONE = """version: 1
organizations:
- slug: acme
  credentials:
  - {label: main, provider: openai, secret: {env: OPENAI_KEY}}
"""


def test_a_secret_comes_from_its_variable_and_is_told_nowhere(apply: Apply, acme: Organization) -> None:
    ran = apply(ONE, OPENAI_KEY=SECRET)

    assert "secret: from OPENAI_KEY" in ran.out
    assert Credential.objects.get().secret() == SECRET
    assert SECRET not in ran.out + ran.err
    assert SECRET not in "".join(str(event.after) for event in of_commands())


def test_a_new_credential_needs_its_variable(apply: Apply, acme: Organization) -> None:
    ran = apply(ONE)

    assert ran.code == 1
    assert ran.err.startswith("tollgate.yaml:5: organizations[0].credentials[0].secret: OPENAI_KEY is required")
    assert not Credential.objects.exists()


def test_another_secret_replaces_the_stored_one_and_says_so(apply: Apply, acme: Organization) -> None:
    apply(ONE, OPENAI_KEY=SECRET)

    ran = apply(ONE, OPENAI_KEY="sk-another-one-9876")

    assert "      secret: replaced, from OPENAI_KEY" in ran.out
    assert "1 changed" in ran.out
    assert Credential.objects.get().secret() == "sk-another-one-9876"
    assert "sk-another" not in ran.out + ran.err
    assert AdminEvent.objects.filter(action="credential.updated").get().after["secret_replaced"] is True


def test_without_the_variable_the_stored_secret_stays_and_that_is_said(
    apply: Apply, acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(ONE, OPENAI_KEY=SECRET)
    monkeypatch.delenv("OPENAI_KEY")

    ran = apply(ONE)

    assert (ran.code, ran.out) == (0, "0 added, 0 changed, 0 removed, 2 unchanged.\n")
    assert ran.err == "OPENAI_KEY is not set: the secret that credential main has stays.\n"
    assert Credential.objects.get().secret() == SECRET


def test_a_new_base_url_needs_the_secret_again(
    apply: Apply, acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(ONE, OPENAI_KEY=SECRET)
    moved = ONE.replace("openai,", "openai, base_url: 'https://eu.api.openai.com/v1',")
    monkeypatch.delenv("OPENAI_KEY")

    assert "The base URL changes: enter the secret again." in apply(moved).err
    assert apply(moved, OPENAI_KEY=SECRET).code == 0
    assert Credential.objects.get().base_url == "https://eu.api.openai.com/v1"


@pytest.mark.parametrize("name", ["SECRET_KEY", "SEALING_KEYS", "DATABASE_URL", "sealing_keys"])
def test_the_installations_own_secrets_go_to_no_provider(apply: Apply, acme: Organization, name: str) -> None:
    ran = apply(ONE.replace("OPENAI_KEY", name))

    assert ran.code == 1
    assert "goes to no provider" in ran.err


# --- Strictness ---


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("organizations: []\n", 1, "the file does not say its version"),
        ("version: 2\n", 1, "version: this release reads version 1"),
        ("version: true\n", 1, "version: this release reads version 1"),
        ("- 1\n", 1, "names with values are expected"),
        ("version: 1\nsettings: {}\n", 2, "settings: there is no such section"),
        (
            "version: 1\ninstallation:\n  services: []\n",
            3,
            "installation.services: the installation has no such section",
        ),
        ("version: 1\norganizations: {}\n", 2, "organizations: a list is expected"),
        ("version: 1\norganizations:\n- name: A\n", 3, "organizations[0]: slug is missing"),
        ("version: 1\norganizations:\n- slug: a\n- slug: a\n", 4, "organizations[1]: organization a is there twice"),
        (
            "version: 1\norganizations:\n- slug: a\n  colour: red\n",
            4,
            "organizations[0].colour: there is no such field",
        ),
        (
            "version: 1\norganizations:\n- slug: a\n  suspended: yes\n",
            4,
            "organizations[0].suspended: write true or false",
        ),
        (
            "version: 1\norganizations:\n- slug: 5\n",
            3,
            "organizations[0].slug: text is expected here: put it in quotes",
        ),
        (
            "version: 1\norganizations:\n- slug: a\n  services:\n  - name: x\n  - name: x\n",
            6,
            "organizations[0].services[1]: service x is there twice, first in line 5",
        ),
        (
            "version: 1\norganizations:\n- slug: a\n  services:\n  - {name: x, rules: {speed: 1}}\n",
            5,
            "organizations[0].services[0].rules.speed: there is no such field",
        ),
        (
            "version: 1\norganizations:\n- slug: a\n  policies:\n  - {name: x, requests_per_minute: many}\n",
            5,
            "organizations[0].policies[0].requests_per_minute: a whole number is expected",
        ),
        (
            "version: 1\norganizations:\n- slug: a\n  policies:\n  - {name: x, allowed_models: gpt-4o}\n",
            5,
            "organizations[0].policies[0].allowed_models: a list is expected",
        ),
        (
            "version: 1\norganizations:\n- slug: a\n  budgets:\n  - {window: year, limit_usd: 5}\n",
            5,
            "organizations[0].budgets[0].window: use one of day, week",
        ),
        (
            "version: 1\norganizations:\n- slug: a\n  budgets:\n  - {window: day, limit_usd: '5'}\n",
            5,
            "organizations[0].budgets[0].limit_usd: an amount is expected",
        ),
        (
            "version: 1\norganizations:\n- slug: a\n  budgets:\n  - {window: day, limit_usd: 5, service: a, tag: b=c}\n",
            5,
            "organizations[0].budgets[0]: a budget is of one of service, tag",
        ),
        (
            "version: 1\norganizations:\n- slug: a\n  credentials:\n  - {label: x, provider: openai, secret: sk-1234}\n",
            5,
            "organizations[0].credentials[0].secret: a secret does not belong in the file",
        ),
        (
            (
                "version: 1\norganizations:\n- slug: a\n  policies:\n  - {name: x, attached_to: [organization]}\n"
                "  - {name: y, attached_to: [organization]}\n"
            ),
            6,
            "organizations[0].policies[1].attached_to: at organization policy x holds",
        ),
        (
            "version: 1\norganizations:\n- slug: a\n  members: [{email: a@b.test, role: king}]\n",
            4,
            "organizations[0].members[0].role: use one of owner, admin",
        ),
        (
            "version: 1\norganizations:\n- slug: a\n  prices: [{provider: openai, model: m}]\n",
            4,
            "organizations[0].prices[0]: no price at all",
        ),
    ],
)
@pytest.mark.django_db
def test_what_cannot_be_is_refused_with_line_and_way(apply: Apply, text: str, line: int, told: str) -> None:
    ran = apply(text)

    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"tollgate.yaml:{line}: {told}"), ran.err
    assert not Organization.objects.exists()


def test_all_that_is_wrong_is_told_at_once(apply: Apply) -> None:
    ran = apply("version: 1\nx: 1\norganizations:\n- slug: a\n  y: 1\n- slug: 5\n")

    assert [line.split(":")[1] for line in ran.err.splitlines()[:-1]] == ["2", "5", "6"]


def test_a_file_that_is_not_there_is_said(run) -> None:
    ran = run("apply_config", "/nowhere/at/all.yaml")

    assert (ran.code, ran.err) == (1, "/nowhere/at/all.yaml cannot be read: No such file or directory.\n")


def test_standard_input_is_read(run, acme: Organization) -> None:
    ran = run("apply_config", "-", stdin="version: 1\norganizations: [{slug: acme, name: New}]\n")

    assert "name: Acme → New" in ran.out


# --- What is special about some ---


def test_policies_swap_places_in_one_go(apply: Apply, acme: Organization, service: Service) -> None:
    text = """version: 1
organizations:
- slug: acme
  policies:
  - {name: a, attached_to: [organization]}
  - {name: b, attached_to: [{service: Support chat}]}
"""
    apply(text)
    swapped = text.replace("[organization]", "X").replace("[{service: Support chat}]", "[organization]")

    assert apply(swapped.replace("X", "[{service: Support chat}]")).code == 0
    held = {row.layer: row.policy.name for row in Attachment.objects.select_related("policy")}
    assert held == {"organization": "b", "service": "a"}
    assert apply(swapped.replace("X", "[{service: Support chat}]")).out.startswith("0 added, 0 changed")


def test_a_policy_that_loses_its_place_to_a_listed_one_is_named(apply: Apply, acme: Organization) -> None:
    other = policy_create(organization=acme, name="other", actor=ACTOR)
    policy_attach(policy=other, layer="organization", organization=acme, actor=ACTOR)

    ran = apply("version: 1\norganizations:\n- slug: acme\n  policies: [{name: a, attached_to: [organization]}]\n")

    assert "at organization it takes the place of policy other" in ran.out


def test_rules_that_a_service_no_longer_states_are_unset(apply: Apply, acme: Organization) -> None:
    text = "version: 1\norganizations:\n- slug: acme\n  services: [{name: shop, rules: {requests_per_minute: 5}}]\n"
    apply(text)

    ran = apply(text.replace(", rules: {requests_per_minute: 5}", ""))

    assert "rules.requests_per_minute: 5 → none" in ran.out
    assert not Attachment.objects.exists()


def test_a_price_without_a_time_begins_now_and_only_once(apply: Apply, acme: Organization) -> None:
    text = (
        "version: 1\norganizations:\n- slug: acme\n  prices: [{provider: openai, model: gpt-4o, input: 1, output: 2}]\n"
    )
    assert "1 added" in apply(text).out
    assert "1 unchanged" in apply(text, "--prune").out.replace("2 unchanged", "1 unchanged")

    ran = apply(text.replace("output: 2", "output: 3"), "--prune")

    assert "output: 2 → 3" in ran.out
    assert "0 removed" in ran.out
    assert list(
        Price.objects.filter(organization=acme).order_by("effective_from").values_list("output", flat=True)
    ) == [2, 3]


def test_a_provider_cannot_change_under_a_label(apply: Apply, acme: Organization) -> None:
    apply(ONE, OPENAI_KEY=SECRET)

    ran = apply(ONE.replace("provider: openai", "provider: xai"), OPENAI_KEY=SECRET)

    assert ran.code == 1
    assert ".provider: main is an account of openai" in ran.err


def test_others_credentials_are_not_found_by_their_labels(apply: Apply, acme: Organization, zeta: Organization) -> None:
    credential_add(organization=zeta, provider="openai", label="theirs", secret=SECRET, actor=ACTOR)
    text = "version: 1\norganizations:\n- slug: acme\n  models: [{name: m, provider: openai, credential: theirs}]\n"

    ran = apply(text)

    assert ran.code == 1
    assert "Acme has no credential 'theirs'" in ran.err


def test_a_catalogued_model_goes_back_to_how_it_shipped(apply: Apply) -> None:
    apply("version: 1\ninstallation:\n  models: [{name: gpt-4o, provider: openai, disabled: true}]\n")
    assert not ProviderModel.objects.get(name="gpt-4o", organization=None).enabled

    ran = apply("version: 1\ninstallation:\n  models: []\n", "--prune")

    assert "  - model openai/gpt-4o" in ran.out
    assert ProviderModel.objects.get(name="gpt-4o", organization=None).enabled


def test_a_disabled_service_that_is_not_listed_is_as_good_as_removed(apply: Apply, service: Service) -> None:
    service_disable(service=service, actor=ACTOR)

    ran = apply("version: 1\norganizations:\n- slug: acme\n  services: []\n")

    assert ran.out == "0 added, 0 changed, 0 removed, 1 unchanged.\n"
