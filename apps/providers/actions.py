"""Every write to credentials and models: the rule, the transaction, the admin event."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _

from apps.audit.actions import event_of_change, event_record, facts
from apps.core.actor import Actor
from apps.core.egress import Egress, EgressRefused
from apps.core.rows import save_valid
from apps.core.sealing import SealingError
from apps.orgs.models import Organization
from apps.providers.catalogue import catalogue, likely_kind, listed_kind
from apps.providers.kinds import kind_of, trimmed
from apps.providers.listing.actions import listing_forget, listing_store
from apps.providers.models import Credential, ModelKind, Provider, ProviderModel
from apps.providers.prices.selectors import price_book
from apps.providers.probe import CredentialTest, probe

TIMEOUTS = (
    "connect_timeout",
    "first_byte_timeout",
    "idle_timeout",
    "total_timeout",
)  # seconds; None: the installation's
_CREDENTIAL_CHANGES = frozenset({"label", "base_url", "api_version", "priority", "weight", *TIMEOUTS})
_MODEL_CHANGES = frozenset({"name", "upstream_name", "kind", "credential", "priced_as", "enabled"})
_HINT_FROM = 12  # characters; the last four of a shorter secret would give too much of it away


# --- Credentials ---


@transaction.atomic
def credential_add(
    *,
    organization: Organization | None,
    provider: str,
    label: str,
    secret: str,
    actor: Actor,
    base_url: str = "",
    api_version: str = "",
    priority: int = 100,
    weight: int | None = None,
    connect_timeout: float | None = None,
    first_byte_timeout: float | None = None,
    idle_timeout: float | None = None,
    total_timeout: float | None = None,
) -> Credential:
    """Add a provider account of `organization`, or of the installation (None), which then offers it to all.

    `base_url` may be empty where everybody's is the same. `weight`: its share among those of its priority. Timeouts are seconds;
    None: the installation's. Raises ValidationError, also for a base URL that the egress rule refuses.
    """
    if provider not in Provider.values:
        raise ValidationError({"provider": _("Use one of: %(names)s.") % {"names": ", ".join(Provider.values)}})
    credential = Credential(
        organization=organization,
        provider=provider,
        label=label,
        base_url=_base_url(base_url, provider),
        api_version=api_version,
        priority=priority,
        weight=weight,
        connect_timeout=connect_timeout,
        first_byte_timeout=first_byte_timeout,
        idle_timeout=idle_timeout,
        total_timeout=total_timeout,
    )
    _seal(credential, secret)
    _save_credential(credential, check_url=True)
    event_record(
        "credential.added",
        actor=actor,
        target=credential,
        organization_id=credential.organization_id,
        after=facts(credential),
    )
    return credential


@transaction.atomic
def credential_update(*, credential: Credential, actor: Actor, secret: str | None = None, **changes: Any) -> Credential:
    """Change `label`, `base_url`, `api_version`, `priority`, `weight` or timeouts; `secret`, if given, replaces the old one.

    A new base URL requires the secret again, so that whoever may edit this form cannot send a key they never saw to a
    host of their own. Raises ValidationError; TypeError for anything else.
    """
    _only(changes, _CREDENTIAL_CHANGES)
    locked = Credential.objects.select_for_update().get(pk=credential.pk)
    before = facts(locked)
    if "base_url" in changes:
        changes["base_url"] = _base_url(changes["base_url"], locked.provider)
    for field, value in changes.items():
        setattr(locked, field, value)
    moved = locked.base_url != before["base_url"]
    if moved and locked.sealed_secret is not None and not secret:
        raise ValidationError({"secret": _("The base URL changes: enter the secret again.")})
    if secret is not None:
        _seal(locked, secret)
    _save_credential(locked, check_url=moved)
    if moved:
        listing_forget(locked)
    event_of_change(
        "credential.updated",
        actor=actor,
        target=locked,
        organization_id=locked.organization_id,
        before=before,
        besides={"secret_replaced": True} if secret is not None else None,
    )
    return locked


@transaction.atomic
def credential_rotate_secret(*, credential: Credential, secret: str, actor: Actor) -> Credential:
    """Replace the secret. Calls that are under way end with the old one. Raises ValidationError."""
    locked = Credential.objects.select_for_update().get(pk=credential.pk)
    before = facts(locked)
    _seal(locked, secret)
    _save_credential(locked, check_url=False)
    event_of_change(
        "credential.secret_rotated",
        actor=actor,
        target=locked,
        organization_id=locked.organization_id,
        before=before,
        besides={"secret_replaced": True},
    )
    return locked


def credential_test(*, credential: Credential) -> CredentialTest:
    """Call the provider now and say how it went. Changes nothing, so it leaves no event."""
    try:
        secret = credential.secret()
    except SealingError as error:
        return CredentialTest(ok=False, sentence=_("The secret cannot be opened: %(reason)s.") % {"reason": error})
    return probe(credential, secret)


@transaction.atomic
def credential_disable(*, credential: Credential, actor: Actor) -> bool:
    """Ask it no more. False if it is disabled already."""
    return _switch(credential, enabled=False, actor=actor)


@transaction.atomic
def credential_enable(*, credential: Credential, actor: Actor) -> bool:
    """Ask it again. False if it is enabled already."""
    return _switch(credential, enabled=True, actor=actor)


@transaction.atomic
def credential_drain(*, credential: Credential, actor: Actor) -> bool:
    """Give it no new calls. What was made with it, such as files and batches, can still be reached. False if it is drained."""
    return _switch_drained(credential, drained=True, actor=actor)


@transaction.atomic
def credential_undrain(*, credential: Credential, actor: Actor) -> bool:
    """Give it calls again. False if it is not drained."""
    return _switch_drained(credential, drained=False, actor=actor)


# --- Models ---


@transaction.atomic
def model_add(
    *,
    organization: Organization | None,
    provider: str,
    name: str,
    actor: Actor,
    kind: str = ModelKind.CHAT,
    upstream_name: str = "",
    credential: Credential | None = None,
    priced_as: str = "",
) -> ProviderModel:
    """List a model for `organization`, or for all (None). Raises ValidationError.

    `upstream_name`: the provider's own name for it, if another. `credential`: the only one that serves it. `priced_as`: the
    model of the price book, `name` or `provider/name`, that it costs as much as.
    """
    model = ProviderModel(
        organization=organization,
        provider=provider,
        name=name,
        kind=kind,
        upstream_name=upstream_name,
        credential=credential,
        priced_as=priced_as,
    )
    _save_model(model, check_price=True)
    event_record("model.added", actor=actor, target=model, organization_id=model.organization_id, after=facts(model))
    return model


@transaction.atomic
def model_update(*, model: ProviderModel, actor: Actor, **changes: Any) -> ProviderModel:
    """Change `name`, `upstream_name`, `kind`, `credential`, `priced_as` or `enabled`.

    Raises ValidationError; TypeError for anything else.
    """
    _only(changes, _MODEL_CHANGES)
    locked = ProviderModel.objects.select_for_update().get(pk=model.pk)
    before = facts(locked)
    if changes.get("name", locked.name) != locked.name and _is_catalogued(locked):
        raise ValidationError(
            {"name": _("A model of the catalogue keeps its name: disable it, and add one under the name you want.")}
        )
    for field, value in changes.items():
        setattr(locked, field, value)
    _save_model(locked, check_price=locked.priced_as != before["priced_as"])
    event_of_change("model.updated", actor=actor, target=locked, organization_id=locked.organization_id, before=before)
    return locked


@transaction.atomic
def model_remove(*, model: ProviderModel, actor: Actor) -> None:
    """Take a model off the list. Raises ValidationError for one of the catalogue, which would come back."""
    locked = ProviderModel.objects.select_for_update().get(pk=model.pk)
    if _is_catalogued(locked):
        raise ValidationError(
            _("%(model)s is in the catalogue and would come back: disable it instead.") % {"model": locked}
        )
    event_record(
        "model.removed", actor=actor, target=locked, organization_id=locked.organization_id, before=facts(locked)
    )
    locked.delete()


def models_import(*, credential: Credential, actor: Actor) -> list[ProviderModel]:
    """List what the credential's provider lists and we do not yet; returns what was added.

    What is added is served by this credential alone: only it is known to have the model. Raises ValidationError if the
    provider cannot be asked.
    """
    if not kind_of(credential.provider).lists_what_can_be_called:
        raise ValidationError(
            _("The listing of %(provider)s does not name what you can call there: add its models by name.")
            % {"provider": credential.get_provider_display()}
        )
    found = credential_test(credential=credential)
    if not found.ok:
        raise ValidationError(found.sentence)
    with transaction.atomic():
        listing_store(credential, found)
        # Locked, so that two imports do not add the same names.
        credential = (
            Credential.objects.select_for_update(of=("self",)).select_related("organization").get(pk=credential.pk)
        )
        offered = ProviderModel.objects.filter(provider=credential.provider, name__in=found.models)
        anywhere = offered.filter(organization=None, credential=None)
        own = offered.filter(organization=credential.organization_id, credential__isnull=True) | offered.filter(
            credential=credential
        )
        known = {*anywhere.values_list("name", flat=True), *own.values_list("name", flat=True)}
        return [
            model_add(
                organization=credential.organization,
                provider=credential.provider,
                name=name,
                kind=likely_kind(credential.provider, name),
                credential=credential,
                actor=actor,
            )
            for name in found.models
            if name not in known
        ]


def catalogue_sync(model: type[ProviderModel] = ProviderModel) -> int:
    """List the models that ship with this release for the whole installation; returns how many were added.

    Adds and never changes: what operators disabled stays disabled. No admin events, as no operator did anything.
    `model` is the class to use during migrations, when the table may not have its latest form.
    """
    listed = {
        (row.provider, row.name)
        for row in model.objects.filter(organization=None, credential=None).only("provider", "name")
    }
    missing = [
        model(provider=entry.provider, name=entry.name, kind=entry.kind)
        for entry in catalogue()
        if (entry.provider, entry.name) not in listed
    ]
    # Two processes may be at it at the same time; the slower one adds nothing.
    model.objects.bulk_create(missing, ignore_conflicts=True)
    return len(missing)


# --- Shared ---


def _base_url(url: str, provider: str) -> str:
    """The URL as it is kept: without a trailing slash, nor what is appended to it (Azure's `/openai/…`); the usual one if empty."""
    kept = trimmed(provider, url.strip() or kind_of(provider).base_url)
    if not kept:
        raise ValidationError({"base_url": _("This provider has no usual base URL: enter your account's.")})
    if not kept.isprintable() or " " in kept:
        raise ValidationError({"base_url": _("The base URL holds spaces or control characters.")})
    try:
        parts = urlsplit(kept)
        return urlunsplit(parts._replace(scheme=parts.scheme.lower(), netloc=parts.netloc.lower()))
    except ValueError:
        return kept  # unreadable: the egress rule says so


def _seal(credential: Credential, secret: str) -> None:
    """Put the secret in, instead of one that may have been refused."""
    credential.refused_at = credential.refused_status = None
    credential.refused_model = ""
    secret = secret.strip()
    if not secret:
        if kind_of(credential.provider).needs_secret:
            raise ValidationError({"secret": _("This provider needs a secret: paste the key you got from it.")})
        credential.sealed_secret, credential.secret_hint = None, ""
        return
    # It becomes a header: anything else could not be sent, or would smuggle a second header.
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise ValidationError({"secret": _("The secret holds spaces or characters that no key has: paste it again.")})
    credential.sealed_secret = settings.SEALING_KEYS.seal(secret, credential.secret_place())
    credential.secret_hint = secret[-4:] if len(secret) >= _HINT_FROM else ""


def _save_credential(credential: Credential, *, check_url: bool) -> None:
    if credential.api_version and credential.provider != Provider.AZURE_OPENAI:
        raise ValidationError({"api_version": _("Only Azure OpenAI has API versions: leave this empty.")})
    if check_url and credential.base_url:
        try:
            Egress(settings.EGRESS_ALLOW).check_base_url(credential.base_url)
        except EgressRefused as error:
            raise ValidationError({"base_url": str(error)}) from error
    save_valid(credential)


def _save_model(model: ProviderModel, *, check_price: bool) -> None:
    if check_price and model.priced_as:
        book = price_book(model.organization, [model.priced_as])
        if book.sheet(model.provider, model.name, now().timestamp(), model.priced_as) is None:
            raise ValidationError(
                {
                    "priced_as": _("The price book has no %(name)s: write a model of this provider, or provider/name.")
                    % {"name": model.priced_as}
                }
            )
    credential = model.credential
    if credential is not None:
        if credential.provider != model.provider:
            raise ValidationError(
                {
                    "credential": _("%(credential)s belongs to another provider than the model.")
                    % {"credential": credential}
                }
            )
        if credential.organization_id is not None and credential.organization_id != model.organization_id:
            raise ValidationError(
                {
                    "credential": _("%(credential)s belongs to one organization, the model to others as well.")
                    % {"credential": credential}
                }
            )
    save_valid(model)


def _is_catalogued(model: ProviderModel) -> bool:
    return (
        model.organization_id is None
        and model.credential_id is None
        and listed_kind(model.provider, model.name) is not None
    )


def _switch(credential: Credential, *, enabled: bool, actor: Actor) -> bool:
    locked = Credential.objects.select_for_update().get(pk=credential.pk)
    if locked.enabled == enabled:
        return False
    before = facts(locked)
    locked.enabled = enabled
    # Not through save_valid: a credential that breaks a newer rule must still be switchable.
    locked.save(update_fields=["enabled", "updated_at"])
    event_of_change(
        "credential.enabled" if enabled else "credential.disabled",
        actor=actor,
        target=locked,
        organization_id=locked.organization_id,
        before=before,
    )
    return True


def _switch_drained(credential: Credential, *, drained: bool, actor: Actor) -> bool:
    locked = Credential.objects.select_for_update().get(pk=credential.pk)
    if (locked.drained_at is not None) == drained:
        return False
    before = facts(locked)
    locked.drained_at = now() if drained else None
    locked.save(update_fields=["drained_at", "updated_at"])
    event_of_change(
        "credential.drained" if drained else "credential.undrained",
        actor=actor,
        target=locked,
        organization_id=locked.organization_id,
        before=before,
    )
    return True


def _only(changes: Mapping[str, Any], allowed: frozenset[str]) -> None:
    if unknown := changes.keys() - allowed:
        raise TypeError(f"cannot change {', '.join(sorted(unknown))}")
