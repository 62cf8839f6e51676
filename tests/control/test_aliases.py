"""Aliases and draining: what actions refuse and note, and the doors to them."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from apps.core.actor import Actor
from apps.orgs.models import Organization
from apps.providers.actions import (
    credential_add,
    credential_disable,
    credential_drain,
    credential_undrain,
    credential_update,
    model_add,
)
from apps.providers.aliases.actions import AliasGoal, alias_add, alias_remove, alias_set, alias_update
from apps.providers.aliases.selectors import alias_remarks, aliases_of, target_text
from apps.providers.models import Alias, AliasTarget, Credential
from tests.control.conftest import SECRET, Run
from tests.control.recorded import events

GPT = AliasGoal(model="gpt-4o-mini")


def add(
    organization: Organization | None, actor: Actor, name: str = "fast", *goals: AliasGoal, **options: Any
) -> Alias:
    return alias_add(organization=organization, name=name, targets=goals or (GPT,), actor=actor, **options)


def targets(alias: Alias) -> list[str]:
    return [target_text(row) for row in AliasTarget.objects.filter(alias=alias)]


def refused(error: pytest.ExceptionInfo[ValidationError], field: str) -> str:
    return " ".join(error.value.message_dict[field])


def with_openai(organization: Organization | None, actor: Actor, label: str = "openai") -> Credential:
    return credential_add(organization=organization, provider="openai", label=label, secret=SECRET, actor=actor)


# --- Actions ---


def test_an_alias_is_added_with_its_targets_in_one_event(acme: Organization, actor: Actor) -> None:
    alias = add(acme, actor, "fast", AliasGoal(model="claude-x", tier=2), AliasGoal(model="gpt-4o-mini", weight=3))
    assert targets(alias) == ["gpt-4o-mini tier=1 weight=3", "claude-x tier=2"]
    [event] = events("alias.added")
    assert (event.action, event.organization_id, event.target_label) == ("alias.added", acme.pk, "fast")
    assert event.after["targets"] == targets(alias)


def test_a_change_notes_only_what_differs(acme: Organization, actor: Actor) -> None:
    alias = add(acme, actor)
    alias_update(alias=alias, strategy="ordered", targets=[GPT], actor=actor)
    assert events("alias.updated") == []
    alias_update(alias=alias, strategy="weighted", actor=actor)
    [event] = events("alias.updated")
    assert (event.before, event.after) == ({"strategy": "ordered"}, {"strategy": "weighted"})
    alias_update(alias=alias, targets=[AliasGoal(model="o3")], actor=actor)
    [event] = [each for each in events("alias.updated") if each.pk != event.pk]
    assert (event.before, event.after) == ({"targets": ["gpt-4o-mini tier=1"]}, {"targets": ["o3 tier=1"]})


def test_targets_of_one_tier_stay_in_their_order(acme: Organization, actor: Actor) -> None:
    names = [f"m{number}" for number in range(20)]
    assert targets(add(acme, actor, "fast", *(AliasGoal(model=name) for name in names))) == [
        f"{name} tier=1" for name in names
    ]


def test_a_removed_alias_is_gone_with_its_targets(acme: Organization, actor: Actor) -> None:
    alias_remove(alias=add(acme, actor), actor=actor)
    assert not Alias.objects.exists()
    assert not AliasTarget.objects.exists()
    [event] = events("alias.removed")
    assert event.before["targets"] == ["gpt-4o-mini tier=1"]


@pytest.mark.parametrize("name", ["", "a b", "-x", "**", "a*b*c", "gpt-4o?", "../x", "x" * 256])
def test_a_name_that_is_none_is_refused(acme: Organization, actor: Actor, name: str) -> None:
    with pytest.raises(ValidationError) as error:
        add(acme, actor, name)
    assert refused(error, "name")
    assert not Alias.objects.exists()


@pytest.mark.parametrize(
    ("goals", "says"),
    [
        ([], "at least one"),
        ([AliasGoal(model="claude-*")], "stands for nothing"),
        ([AliasGoal(model="a b")], "Use letters"),
        ([GPT, GPT], "already"),
        ([AliasGoal(model="x", weight=0)], "weight"),
        ([AliasGoal(model="x", weight=1001)], "weight"),
        ([AliasGoal(model="x", tier=99999)], "tier"),
        ([AliasGoal(model=f"x{number}") for number in range(51)], "At most 50"),
    ],
)
def test_targets_that_cannot_be_meant_are_refused_and_nothing_is_saved(
    acme: Organization, actor: Actor, goals: list[AliasGoal], says: str
) -> None:
    with pytest.raises(ValidationError) as error:
        alias_add(organization=acme, name="fast", targets=goals, actor=actor)
    assert says in refused(error, "targets")
    assert not Alias.objects.exists()
    alias = add(acme, actor)
    with pytest.raises(ValidationError):
        alias_update(alias=alias, targets=goals, actor=actor)
    assert targets(alias) == ["gpt-4o-mini tier=1"]


def test_a_star_cannot_leave_the_name_while_a_target_has_one(acme: Organization, actor: Actor) -> None:
    alias = add(acme, actor, "m-*", AliasGoal(model="mistral/mistral-*"))
    with pytest.raises(ValidationError) as error:
        alias_update(alias=alias, name="m", actor=actor)
    assert "stands for nothing" in refused(error, "targets")
    alias.refresh_from_db()
    assert alias.name == "m-*"


def test_a_name_is_given_once_in_an_organization(acme: Organization, zeta: Organization, actor: Actor) -> None:
    add(acme, actor)
    add(zeta, actor)
    add(None, actor)
    for organization in (acme, None):
        with pytest.raises(ValidationError):
            add(organization, actor)


def test_a_target_takes_only_a_credential_that_may_serve_it(
    acme: Organization, zeta: Organization, actor: Actor
) -> None:
    own, others, shared = (with_openai(each, actor) for each in (acme, zeta, None))
    add(acme, actor, "own", AliasGoal(model="gpt-4o-mini", credential=own))
    add(acme, actor, "shared", AliasGoal(model="gpt-4o-mini", credential=shared))
    for organization, credential in ((acme, others), (None, own)):
        with pytest.raises(ValidationError) as error:
            add(organization, actor, "fast", AliasGoal(model="gpt-4o-mini", credential=credential))
        assert "belongs to one organization" in refused(error, "targets")
    with pytest.raises(ValidationError) as error:
        add(acme, actor, "fast", AliasGoal(model="anthropic/claude-x", credential=own))
    assert "another provider" in refused(error, "targets")


def test_setting_an_alias_again_changes_it_and_enables_it(acme: Organization, actor: Actor) -> None:
    alias, created = alias_set(organization=acme, name="fast", targets=[GPT], actor=actor)
    assert created
    alias_update(alias=alias, enabled=False, actor=actor)
    again, created = alias_set(organization=acme, name="fast", targets=[AliasGoal(model="o3")], actor=actor)
    assert (again.pk, created, again.enabled) == (alias.pk, False, True)
    assert targets(again) == ["o3 tier=1"]


@pytest.mark.parametrize(
    ("name", "target", "says"),
    [
        ("fast", "gpt-4o-mini", ""),
        ("fast", "openai/gpt-4o-mini", ""),
        ("fast", "nowhere", "not listed, and leads nowhere"),
        ("fast", "other", "is an alias"),
        ("fast", "off", "is disabled"),
        ("fast", "openai/gpt-new", "asked for it by just this name"),
        ("fast", "claude-opus-4-5", "no enabled credential"),
        ("fast", "anthropic/claude-new", "no enabled credential"),
        ("gpt-4o*", "o3", "stands before"),
        ("*", "o3", ""),
        ("nothing-*", "openai/gpt-*", ""),
    ],
)
def test_what_may_not_have_been_meant_is_remarked(
    acme: Organization, actor: Actor, name: str, target: str, says: str
) -> None:
    with_openai(acme, actor)
    add(acme, actor, "other")
    model = model_add(organization=acme, provider="openai", name="off", actor=actor)
    model.enabled = False
    model.save()
    remarks = alias_remarks(add(acme, actor, name, AliasGoal(model=target)))
    assert (says in " ".join(remarks)) if says else remarks == []


def test_an_organization_has_its_own_and_the_installations(
    acme: Organization, zeta: Organization, actor: Actor
) -> None:
    for organization, name in ((None, "a"), (acme, "z"), (zeta, "m")):
        add(organization, actor, name)
    assert [alias.name for alias in aliases_of(acme)] == ["z", "a"]
    assert [alias.name for alias in aliases_of(None)] == ["a"]


def test_draining_is_noted_once(acme: Organization, actor: Actor) -> None:
    credential = with_openai(acme, actor)
    assert credential_drain(credential=credential, actor=actor)
    assert not credential_drain(credential=credential, actor=actor)
    assert len(events("credential.drained")) == 1
    credential.refresh_from_db()
    assert credential.drained_at is not None
    assert credential_undrain(credential=credential, actor=actor)
    assert not credential_undrain(credential=credential, actor=actor)
    assert len(events("credential.undrained")) == 1


@pytest.mark.parametrize("weight", [0, -1, 1001])
def test_a_weight_is_of_a_sensible_size(acme: Organization, actor: Actor, weight: int) -> None:
    credential = with_openai(acme, actor)
    with pytest.raises(ValidationError) as error:
        credential_update(credential=credential, weight=weight, actor=actor)
    assert refused(error, "weight")


# --- Commands ---


def test_set_alias_creates_changes_and_remarks(run: Run, acme: Organization, actor: Actor) -> None:
    with_openai(acme, actor, "my main")
    ran = run(
        *("set_alias", "--org", "acme", "--name", "fast"),
        *("--target", "gpt-4o-mini", "--target", 'openai/gpt-4o weight=3 credential="my main"'),
    )
    assert (ran.code, ran.out, ran.err) == (0, "Created alias fast for Acme.\n", "")
    assert targets(Alias.objects.get()) == [
        "gpt-4o-mini tier=1",
        "openai/gpt-4o tier=2 weight=3 credential='my main'",
    ]
    ran = run(
        "set_alias", "--org", "acme", "--name", "fast", "--strategy", "weighted", "--target", "x", "--target", "o3"
    )
    assert (ran.code, ran.out) == (0, "Set alias fast for Acme.\n")
    assert "x is not listed" in ran.err
    assert targets(Alias.objects.get()) == ["x tier=1", "o3 tier=1"]


def test_set_alias_for_every_organization(run: Run, acme: Organization) -> None:
    assert run("set_alias", "--hosted", "--name", "fast", "--target", "o3").out.endswith("for every organization.\n")
    assert Alias.objects.get().organization is None


@pytest.mark.parametrize(
    "target",
    ["", "gpt-4o tier", "gpt-4o tier=x", "gpt-4o tier=1 tier=2", "gpt-4o other=1", "gpt-4o 'x", "gpt-4o weight=-1"],
)
def test_a_target_that_cannot_be_read_is_wrong_usage(run: Run, acme: Organization, target: str) -> None:
    ran = run("set_alias", "--org", "acme", "--name", "fast", "--target", target)
    assert (ran.code, ran.out) == (2, "")
    assert not Alias.objects.exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--name", "a b", "--target", "o3"], "name: Use letters"),
        (["--name", "fast", "--target", "gpt-*"], "stands for nothing"),
        (["--name", "fast", "--target", "o3 credential=nope"], "no credential “nope”"),
    ],
)
def test_what_set_alias_refuses(run: Run, acme: Organization, words: list[str], says: str) -> None:
    ran = run("set_alias", "--org", "acme", *words)
    assert (ran.code, ran.out) == (1, "")
    assert says in ran.err


def test_aliases_are_listed_and_removed(run: Run, acme: Organization, zeta: Organization, actor: Actor) -> None:
    ran = run("aliases")
    assert (ran.code, ran.out) == (0, "")
    assert "set_alias" in ran.err
    add(acme, actor, "fast", GPT, AliasGoal(model="o3", tier=2))
    add(zeta, actor, "other")
    add(None, actor, "all")
    lines = run("aliases").out.splitlines()
    assert lines[0].split() == ["NAME", "OF", "STRATEGY", "STATE", "TARGETS"]
    assert [line.split()[0] for line in lines[1:]] == ["all", "fast", "o3", "other"]
    assert "other" not in run("aliases", "--org", "acme").out
    assert '"targets":[{"model":"gpt-4o-mini","tier":1' in run("aliases", "--org", "acme", "--json").out
    assert run("remove_alias", "--org", "acme", "--name", "fast").out == "Removed alias fast.\n"
    ran = run("remove_alias", "--org", "acme", "--name", "fast")
    assert (ran.code, "manage.py aliases" in ran.err) == (1, True)


def test_a_credential_is_drained_and_undrained(run: Run, acme: Organization, actor: Actor) -> None:
    credential = with_openai(acme, actor)
    command = ("drain_credential", "--org", "acme", "--label", "openai")
    assert run(*command).out == "openai (OpenAI) gets no new calls.\n"
    assert run(*command).out.startswith("Nothing to do")
    assert run(*command, "--undo").out == "openai (OpenAI) gets calls again.\n"
    assert run(*command, "--undo").out.startswith("Nothing to do")
    credential_disable(credential=credential, actor=actor)
    assert "disabled" in run(*command).err
    ran = run("drain_credential", "--org", "acme", "--label", "nope")
    assert (ran.code, "'openai'" in ran.err) == (1, True)
    ran = run("drain_credential", "--hosted", "--label", "nope")
    assert (ran.code, "add_credential" in ran.err) == (1, True)


# --- Console ---

URL = "/admin/providers/alias/"


def form(*rows: tuple[str, str, str, str], **fields: str) -> dict[str, Any]:
    columns = [*zip(*rows, strict=True)] or [()] * 4
    names = ("model", "tier", "weight", "credential")
    return {
        "strategy": "ordered",
        **{f"targets-{name}": list(cells) for name, cells in zip(names, columns, strict=True)},
        **fields,
    }


def test_an_alias_is_added_and_changed_in_the_console(console: Client, acme: Organization) -> None:
    answer = console.post(
        f"{URL}add/",
        form(("o3", "", "", ""), ("", "", "", ""), ("gpt-4o", "", "2", ""), name="fast", organization=str(acme.pk)),
        follow=True,
    )
    alias = Alias.objects.get()
    assert (alias.organization, targets(alias)) == (acme, ["o3 tier=1", "gpt-4o tier=2 weight=2"])
    assert any("no enabled credential" in str(message) for message in answer.context["messages"])
    page = console.get(f"{URL}{alias.pk}/change/").content.decode()
    assert 'name="targets-model" value="gpt-4o"' in page
    unchanged = form(("o3", "1", "1", ""), ("gpt-4o", "2", "2", ""), name="fast", enabled="on")
    console.post(f"{URL}{alias.pk}/change/", unchanged)
    assert events("alias.updated") == []
    console.post(f"{URL}{alias.pk}/change/", form(("o3", "1", "1", ""), name="quick"))
    alias.refresh_from_db()
    assert (alias.name, alias.enabled, targets(alias)) == ("quick", False, ["o3 tier=1"])
    assert {event.actor_label for event in events("alias.updated")} == {"owner@acme.test"}


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (("gpt-*", "", "", ""), "stands for nothing"),
        (("o3", "x", "", ""), "write whole numbers"),
        (("o3", "", "0", ""), "greater than or equal to 1"),
        (("o3", "", "", "nope"), "There is no credential"),
        (("", "1", "", ""), "model"),
        (("", "", "", ""), "at least one model"),
    ],
)
def test_what_is_refused_is_shown_at_the_targets(
    console: Client, acme: Organization, row: tuple[str, str, str, str], says: str
) -> None:
    answer = console.post(f"{URL}add/", form(row, name="fast", organization=str(acme.pk)))
    assert answer.status_code == 200
    assert says in " ".join(answer.context["adminform"].form.errors["targets"])
    assert not Alias.objects.exists()


def test_an_empty_list_says_how_to_begin_and_a_full_one_is_cheap(
    console: Client, acme: Organization, actor: Actor, django_assert_max_num_queries: Any
) -> None:
    assert "No aliases yet" in console.get(URL).content.decode()
    for number in range(30):
        add(acme, actor, f"fast-{number}", GPT, AliasGoal(model="o3", tier=2))
    with django_assert_max_num_queries(12):
        page = console.get(URL).content.decode()
    assert "gpt-4o-mini, o3" in page


def test_an_alias_is_removed_in_the_console(console: Client, acme: Organization, actor: Actor) -> None:
    alias = add(acme, actor)
    assert "means again" in console.get(f"{URL}{alias.pk}/remove/").content.decode()
    assert Alias.objects.exists()
    console.post(f"{URL}{alias.pk}/remove/")
    assert not Alias.objects.exists()


def test_draining_in_the_console(console: Client, acme: Organization, actor: Actor) -> None:
    credential = with_openai(acme, actor)
    url = f"/admin/providers/credential/{credential.pk}/"
    page = console.get(f"{url}change/").content.decode()
    assert f"{url}drain/" in page
    assert f"{url}undrain/" not in page
    console.post(f"{url}drain/")
    credential.refresh_from_db()
    assert credential.drained_at is not None
    assert "drained" in console.get("/admin/providers/credential/").content.decode()
    page = console.get(f"{url}change/").content.decode()
    assert f"{url}undrain/" in page
    console.post(f"{url}undrain/")
    credential.refresh_from_db()
    assert credential.drained_at is None
