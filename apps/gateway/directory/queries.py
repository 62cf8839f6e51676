"""What the directory asks the database, and how rows become views. Run as the database's owner, outside any tenant's session."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import dict_row

from apps.core.logs import get_logger
from apps.core.sealing import Keyring, Place, SealingError
from apps.gateway.config import Timeouts
from apps.gateway.directory.models import Models
from apps.gateway.directory.routes import Offered, model_row, offered
from apps.gateway.directory.upstreams import authentication_lines
from apps.gateway.directory.views import Account, CredentialView, TokenView
from apps.gateway.governance.governor import Governor
from apps.gateway.upstream.pool import Origin
from apps.policies.counters.plan import TOKEN_BUDGETS_SQL, BudgetRule, budget_rules
from apps.policies.effective import Rules, rules_from_row
from apps.policies.selectors.policies import POLICY_LAYERS_SQL
from apps.providers.addressing import secret_is_sendable
from apps.providers.aliases.names import STAR, AliasBook, AliasRule, Target, spelled
from apps.providers.aliases.ways import Stock
from apps.providers.kinds import kind_of
from apps.providers.listing.names import Listing
from apps.providers.prefixes import PREFIXES
from apps.providers.prices.book import PRICES_SQL, candidates, compile_book

log = get_logger(__name__)

_BY_DIGEST = """
SELECT t.id, t.service_id, t.organization_id, t.scopes,
       CASE WHEN t.digest = %(digest)s THEN t.expires_at ELSE LEAST(t.expires_at, t.previous_until) END AS expires_at,
       t.revoked_at IS NOT NULL AS revoked,
       s.disabled_at IS NOT NULL OR o.suspended_at IS NOT NULL AS suspended, o.timezone
FROM services_token t JOIN services_service s ON s.id = t.service_id JOIN orgs_organization o ON o.id = t.organization_id
WHERE t.digest = %(digest)s OR t.previous_digest = %(digest)s
"""

# An organization's own come before the installation's, which it may not be entitled to, then by priority; the id settles ties the
# same way everywhere. A list of models that could not be renewed for so long says nothing any more.
_CREDENTIALS = """
SELECT c.id, c.organization_id, c.provider, c.label, c.base_url, c.api_version, c.priority, c.weight, c.sealed_secret,
       c.connect_timeout, c.first_byte_timeout, c.idle_timeout, c.total_timeout,
       c.drained_at IS NOT NULL AS drained, l.names AS listed, c.updated_at, c.refused_status, c.refused_model
FROM providers_credential c
LEFT JOIN providers_providerlisting l ON l.credential_id = c.id AND l.listed_at > now() - interval '2 days'
WHERE c.enabled AND (c.organization_id = %(organization)s OR c.organization_id IS NULL AND EXISTS (
  SELECT FROM orgs_organization o WHERE o.id = %(organization)s AND o.hosted_credentials))
ORDER BY c.organization_id IS NULL, c.priority, c.id
"""

_MODELS = """
SELECT name, provider, upstream_name, credential_id, priced_as, created_at, enabled, organization_id
FROM providers_providermodel WHERE organization_id = %s OR organization_id IS NULL
ORDER BY organization_id IS NULL, id
"""

_ALIASES = """
SELECT a.id, a.name, a.strategy, a.created_at, t.model, t.credential_id, t.tier, t.weight
FROM providers_alias a LEFT JOIN providers_aliastarget t ON t.alias_id = a.id
WHERE a.enabled AND (a.organization_id = %s OR a.organization_id IS NULL)
ORDER BY a.organization_id IS NULL, a.id, t.tier, t.id
"""

# What a pattern or a prefix may lead to is not known beforehand: all that has a price at its provider.
_PRICED = """
SELECT DISTINCT model FROM providers_price
WHERE withdrawn_at IS NULL AND provider = ANY(%s) AND (organization_id = %s OR organization_id IS NULL)
"""


async def load_token(connection: AsyncConnection[Any], digest: bytes) -> TokenView | None:
    """The token of this digest, whatever its state; None if nobody issued it."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_BY_DIGEST, {"digest": digest})
        row = await cursor.fetchone()
        if row is None:
            return None
        layers, budgets = await _governing(cursor, row)
    governor = Governor(row["organization_id"].hex, row["id"].hex, row["timezone"], layers, budgets)
    return TokenView(
        id=row["id"],
        token=row["id"].hex,
        service_id=row["service_id"],
        service=row["service_id"].hex,
        organization_id=row["organization_id"],
        organization=row["organization_id"].hex,
        scopes=frozenset(row["scopes"]),
        expires_at=row["expires_at"].timestamp() if row["expires_at"] else float("inf"),
        revoked=row["revoked"],
        suspended=row["suspended"],
        governor=governor,
    )


async def load_is_set_up(connection: AsyncConnection[Any]) -> bool:
    """Whether there is any organization."""
    row = await (await connection.execute("SELECT EXISTS (SELECT FROM orgs_organization)")).fetchone()
    return bool(row and row[0])


async def _governing(
    cursor: AsyncCursor[dict[str, Any]], token: dict[str, Any]
) -> tuple[list[Rules], tuple[BudgetRule, ...]]:
    """The policies that hold for a token, and the budgets that count its calls."""
    await cursor.execute(POLICY_LAYERS_SQL, (token["id"],))
    layers = [rules_from_row(row) for row in await cursor.fetchall()]
    await cursor.execute(
        TOKEN_BUDGETS_SQL,
        {
            "organization": token["organization_id"],
            "service": token["service_id"],
            "token": token["id"],
            "policies": [UUID(rules.policy_id) for rules in layers],
        },
    )
    return layers, budget_rules(await cursor.fetchall(), layers, token["timezone"])


async def load_models(
    connection: AsyncConnection[Any], organization_id: UUID, keyring: Keyring, defaults: Timeouts
) -> Models:
    """Everything this organization may ask for, and the credentials that it has."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_CREDENTIALS, {"organization": organization_id})
        credential_rows = await cursor.fetchall()
        await cursor.execute(_MODELS, (organization_id,))
        model_rows = await cursor.fetchall()
        await cursor.execute(_ALIASES, (organization_id,))
        rules = _rules(await cursor.fetchall())
        offers = [made for row in credential_rows if (made := _offer(row, keyring, defaults)) is not None]
        accounts = {each.account.credential.id: each.account for each in offers}
        providers = {account.credential.provider for account in accounts.values()}
        unlisted = providers & PREFIXES.keys()  # who is asked for what is not listed
        rows = [model_row(row) for row in model_rows if row["enabled"]]
        asked = {name for row in rows for name in (*row.book_names, row.upstream)}
        asked |= {name for name, _ in _targets(rules, accounts)}
        await cursor.execute(
            _PRICED,
            (
                sorted({provider for name, provider in _targets(rules, accounts) if STAR in name} | unlisted),
                organization_id,
            ),
        )
        asked |= {row["model"] for row in await cursor.fetchall()}
        names = {name for part in asked for name in candidates(part)}
        await cursor.execute(PRICES_SQL, {"organization": organization_id, "models": sorted(names)})
        book = compile_book(await cursor.fetchall())
    off = [model_row(row) for row in model_rows if not row["enabled"]]
    live = [each for each in offers if not each.account.drained]
    book_of_aliases = AliasBook(rules)
    undrained = None if live == offers else Models(Stock(rows, off, offers), book_of_aliases, book, accounts)
    return Models(Stock(rows, off, live, providers), book_of_aliases, book, accounts, undrained)


def _rules(rows: Sequence[dict[str, Any]]) -> list[AliasRule]:
    """Aliases with their targets, as _ALIASES orders them."""
    rules = []
    for _, same in groupby(rows, key=lambda row: row["id"]):
        (first, *_) = group = list(same)
        targets = tuple(
            Target(
                model=row["model"],
                credential="" if row["credential_id"] is None else row["credential_id"].hex,
                tier=row["tier"],
                weight=row["weight"],
            )
            for row in group
            if row["model"] is not None
        )
        rules.append(
            AliasRule(
                name=first["name"], targets=targets, strategy=first["strategy"], created=_unix(first["created_at"])
            )
        )
    return rules


def _targets(rules: Iterable[AliasRule], accounts: Mapping[str, Account]) -> Iterator[tuple[str, str]]:
    """The models that aliases name together with a provider or a credential, and whose they are: they may be listed nowhere."""
    for rule in rules:
        for target in rule.targets:
            owner = accounts.get(target.credential)
            provider, model = spelled(target.model)
            if provider:
                yield model, provider
            if owner is not None:
                yield target.model, owner.credential.provider


def _offer(row: dict[str, Any], keyring: Keyring, defaults: Timeouts) -> Offered | None:
    secret = _secret(row, keyring)
    if secret is None:
        return None
    account = Account(
        _credential(row, defaults), row["api_version"], authentication_lines(row["provider"], secret), row["drained"]
    )
    return offered(
        account,
        rank=(row["organization_id"] is None, row["priority"]),
        weight=row["weight"],
        listing=None if row["listed"] is None else Listing(row["listed"]),
    )


def _secret(row: dict[str, Any], keyring: Keyring) -> str | None:
    """The credential's secret, empty if it has none; None, and an error in the log, if it cannot be used."""
    if row["sealed_secret"] is None:
        return ""
    place = Place("providers_credential", row["id"], "sealed_secret", row["organization_id"])
    try:
        secret = keyring.open(bytes(row["sealed_secret"]), place)
    except SealingError as exc:
        log.error("credential_unopened", credential=str(row["id"]), label=row["label"], why=str(exc))
        return None
    if not secret_is_sendable(secret):
        log.error("credential_unusable", credential=str(row["id"]), label=row["label"], why="not visible ASCII")
        return None
    return secret


def _credential(row: dict[str, Any], defaults: Timeouts) -> CredentialView:
    return CredentialView(
        id=row["id"].hex,
        provider=row["provider"],
        label=row["label"],
        base_url=row["base_url"],
        origin=Origin.of(row["base_url"]),
        timeouts=Timeouts(
            connect=row["connect_timeout"] or defaults.connect,
            first_byte=row["first_byte_timeout"] or defaults.first_byte,
            idle=row["idle_timeout"] or defaults.idle,
            total=row["total_timeout"] or defaults.total,
        ),
        kind=kind_of(row["provider"]),
        changed=int(row["updated_at"].timestamp() * 1000),
        refused="" if row["refused_status"] is None else row["refused_model"] or "*",
        hosted=row["organization_id"] is None,
    )


def _unix(at: datetime) -> int:
    return int(at.timestamp())
