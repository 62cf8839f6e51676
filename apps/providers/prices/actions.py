"""Every write to the price book: the rule, the transaction, the admin event."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _

from apps.audit.actions import event_record, facts
from apps.core.actor import Actor
from apps.core.rows import save_valid
from apps.orgs.models import Organization
from apps.providers.prices.documents import Line
from apps.providers.prices.kinds import KINDS, STANDARD
from apps.providers.prices.models import Price
from apps.providers.prices.money import checked_price
from apps.providers.prices.review import Review, unusual
from apps.providers.prices.seed import SeedRow, seed_rows
from apps.providers.prices.selectors import prices_in_force, prices_of, prices_review

# Since when the prices of a first release are taken to apply: nobody knows earlier ones.
FIRST_DAY = datetime(2020, 1, 1, tzinfo=UTC)
_NAMED_IN_EVENT = 100  # models; an import may hold thousands
_BATCH = 500


class ImportRefused(ValidationError):
    """Nothing was imported; `review` says why, row by row."""

    def __init__(self, found: Review) -> None:
        """`found`: the review with a refusal."""
        super().__init__(found.refusal)
        self.review = found


@dataclass(frozen=True, slots=True)
class Synced:
    """What a synchronization did: rows added, and models left alone because an operator set their price."""

    added: int
    kept: int


@transaction.atomic
def price_set(
    *,
    organization: Organization | None,
    provider: str,
    model: str,
    prices: Mapping[str, Decimal],
    effective_from: datetime,
    actor: Actor,
    tier: str = STANDARD,
    above_input_tokens: int = 0,
    source: str = "",
    note: str = "",
    replace: bool = False,
    trust: bool = True,
) -> Price:
    """Set what a model costs `organization`, or all without a price of their own (None), from `effective_from` on.

    `prices`: USD per million units by kind; the row stands for itself, so a kind that is left out has no price of its own.
    `replace`: withdraw the row of the very same time, instead of refusing. `trust` False: refuse what is more than ten times the
    price of before, or less than a tenth, as an import does. Raises ValidationError.
    """
    _lock()
    _check_prices(prices)
    place = {"provider": provider, "model": model, "tier": tier, "above_input_tokens": above_input_tokens}
    price = Price(organization=organization, effective_from=effective_from, source=source, note=note, **place, **prices)
    price.clean_fields()
    if (tier or above_input_tokens) and not prices_of(organization).filter(
        provider=provider, model=model, tier=STANDARD, above_input_tokens=0, effective_from__lte=effective_from
    ).exists():
        raise ValidationError(
            {"tier": _("A tier or threshold needs the model's standard price first, from no later time.")}
        )
    if not trust and (odd := _unusual(organization, place, prices, effective_from)):
        raise ValidationError(_("Unusual: %(change)s. If that is right, say so with --trust.") % {"change": odd})
    if replace:
        for old in prices_of(organization).filter(effective_from=effective_from, **place):
            price_withdraw(price=old, actor=actor)
    save_valid(price)
    event_record("price.set", actor=actor, target=price, organization_id=price.organization_id, after=_told(price))
    return price


@transaction.atomic
def price_withdraw(*, price: Price, actor: Actor) -> bool:
    """Use a mistaken row no more; what was computed with it stays as it was. False if it is withdrawn already."""
    _lock()
    locked = Price.objects.select_for_update().get(pk=price.pk)
    if locked.withdrawn_at is not None:
        return False
    before = _told(locked)
    locked.withdrawn_at = now()
    locked.save(update_fields=["withdrawn_at"])
    event_record(
        "price.withdrawn",
        actor=actor,
        target=locked,
        organization_id=locked.organization_id,
        before=before,
        after=_told(locked),
    )
    return True


@transaction.atomic
def prices_import(
    *,
    organization: Organization | None,
    lines: list[Line],
    actor: Actor,
    trust: bool = False,
    replace: bool = False,
) -> Review:
    """Add what is new or changed of `lines` to the prices of `organization`, or of the installation (None): all or nothing.

    Raises ImportRefused, with the review, for a refused row, for an unusual one unless `trust`, and for a wrong unit.
    """
    _lock()  # of two imports of one file the second finds everything the same
    found = prices_review(organization, lines, trust=trust, replace=replace)
    if found.refusal:
        raise ImportRefused(found)
    taken = [row.line for row in found.of("added", "changed")]
    if not taken:
        return found
    withdrawn = 0
    if replace:
        times = {(line.place, line.effective_from) for line in taken}
        for old in prices_of(organization).filter(effective_from__in={line.effective_from for line in taken}):
            place = (old.provider, old.model, old.tier, old.above_input_tokens)
            if (place, old.effective_from) in times:
                withdrawn += price_withdraw(price=old, actor=actor)
    rows = [
        Price(
            organization=organization,
            provider=line.provider,
            model=line.model,
            tier=line.tier,
            above_input_tokens=line.above,
            effective_from=line.effective_from,
            source=line.source,
            note=line.note,
            **line.prices,
        )
        for line in taken
    ]
    try:
        with transaction.atomic():
            Price.objects.bulk_create(rows, batch_size=_BATCH)
    except IntegrityError as error:  # only a writer beside these actions gets here
        raise ValidationError(_("The prices changed meanwhile: import the file again.")) from error
    event_record(
        "prices.imported",
        actor=actor,
        target=rows[0],
        organization_id=rows[0].organization_id,
        after={
            "added": found.count("added"),
            "changed": found.count("changed"),
            "withdrawn": withdrawn,
            "models": sorted({f"{row.provider}/{row.model}" for row in rows})[:_NAMED_IN_EVENT],
        },
    )
    return found


@transaction.atomic
def prices_sync(*, actor: Actor | None = None, table: type[Price] = Price) -> Synced:
    """Add the list prices that ship with this release, where they are new or differ from the newest that shipped before.

    Never touches an organization's rows, nor a model whose installation price an operator set, nor brings back a shipped row
    that was withdrawn. `actor` None: no admin event, as no operator did anything. `table` is the class to use during
    migrations, when the table may not have its latest form.
    """
    _lock()
    newest: dict[tuple[str, str, str, int], dict[str, Any]] = {}
    operators: set[tuple[str, str]] = set()
    columns = ("provider", "model", "tier", "above_input_tokens", "effective_from", "shipped", "withdrawn_at", *KINDS)
    for row in table.objects.filter(organization=None).order_by("effective_from", "id").values(*columns):
        if row["shipped"]:
            newest[row["provider"], row["model"], row["tier"], row["above_input_tokens"]] = row
        elif row["withdrawn_at"] is None:
            operators.add((row["provider"], row["model"]))
    known = {place[:2] for place in newest}
    kept: set[tuple[str, str]] = set()
    missing = []
    for seed in seed_rows():
        model = (seed.provider, seed.model)
        last = newest.get((*model, seed.tier, seed.above_input_tokens))
        if last is not None and all(last[kind] == seed.prices.get(kind) for kind in KINDS):
            continue
        if model in operators:
            kept.add(model)
            continue
        missing.append(_shipped(table, seed, _since(seed, last, is_known=model in known)))
    table.objects.bulk_create(missing, batch_size=_BATCH)
    if actor is not None and missing:
        event_record(
            "prices.synced",
            actor=actor,
            target=missing[0],
            organization_id=None,
            after={"added": len(missing), "kept": len(kept)},
        )
    return Synced(len(missing), len(kept))


def _since(seed: SeedRow, last: Mapping[str, Any] | None, *, is_known: bool) -> datetime:
    """From when a shipped row applies: a new model's from the first day, a changed price from the file's date."""
    if not is_known:
        return FIRST_DAY
    return seed.as_of if last is None or last["effective_from"] < seed.as_of else now()


def _shipped(table: type[Price], seed: SeedRow, since: datetime) -> Price:
    return table(
        provider=seed.provider,
        model=seed.model,
        tier=seed.tier,
        above_input_tokens=seed.above_input_tokens,
        effective_from=since,
        source=seed.source,
        note=f"as of {seed.as_of:%Y-%m-%d}",
        shipped=True,
        **seed.prices,
    )


def _check_prices(prices: Mapping[str, Decimal]) -> None:
    """Raises ValidationError naming the kind. Django's own checks let infinities through to an exception of another kind."""
    errors = {}
    for kind, price in prices.items():
        if kind not in KINDS:
            raise TypeError(f"{kind} has no price")
        try:
            checked_price(price)
        except ValueError as error:
            errors[kind] = str(error)
    if errors:
        raise ValidationError(errors)


def _unusual(
    organization: Organization | None, place: Mapping[str, Any], prices: Mapping[str, Decimal], at: datetime
) -> str:
    """What is out of all proportion to the price before it, the owner's own or else the installation's; empty: nothing."""
    for owner in (organization, None) if organization else (None,):
        before = prices_in_force(owner, at).filter(**place).values(*KINDS).first()
        if before is not None:
            return unusual({kind: price for kind, price in before.items() if price is not None}, prices)
    return ""


def _told(price: Price) -> dict[str, Any]:
    """A row for an event, without the kinds that have no price."""
    return {name: value for name, value in facts(price).items() if value is not None or name not in KINDS}


def _lock() -> None:
    """One writer of the book at a time, until the transaction ends: a row is judged by those that are there."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('providers_price'))")
