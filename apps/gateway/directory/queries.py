"""What the directory asks the database, and how rows become views. Run as the database's owner, outside any tenant's session."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import dict_row

from apps.core.logs import get_logger
from apps.core.sealing import Keyring, Place, SealingError
from apps.gateway.config import Timeouts
from apps.gateway.directory.upstreams import heads_for
from apps.gateway.directory.views import CredentialView, Models, ModelView, Route, TokenView
from apps.gateway.governance.governor import Governor
from apps.gateway.upstream.pool import Origin
from apps.policies.counters.plan import TOKEN_BUDGETS_SQL, BudgetRule, budget_rules
from apps.policies.effective import Rules, rules_from_row
from apps.policies.selectors.policies import POLICY_LAYERS_SQL
from apps.providers.addressing import secret_is_sendable
from apps.providers.kinds import kind_of
from apps.providers.prices.book import PRICES_SQL, candidates, compile_book, names_of
from apps.providers.prices.seed import ModelFacts, model_facts
from apps.providers.translation.upstream import Upstream

log = get_logger(__name__)

_BY_DIGEST = """
SELECT t.id, t.service_id, t.organization_id, t.scopes, t.expires_at, t.revoked_at IS NOT NULL AS revoked,
       s.disabled_at IS NOT NULL OR o.suspended_at IS NOT NULL AS suspended, o.timezone
FROM services_token t JOIN services_service s ON s.id = t.service_id JOIN orgs_organization o ON o.id = t.organization_id
WHERE t.digest = %s
"""

# An organization's own come before the installation's, then by priority; the id settles ties the same way everywhere.
_CREDENTIALS = """
SELECT id, organization_id, provider, label, base_url, api_version, sealed_secret,
       connect_timeout, first_byte_timeout, idle_timeout, total_timeout
FROM providers_credential WHERE enabled AND (organization_id = %s OR organization_id IS NULL)
ORDER BY organization_id IS NULL, priority, id
"""

_MODELS = """
SELECT name, provider, upstream_name, credential_id, priced_as, created_at
FROM providers_providermodel WHERE enabled AND (organization_id = %s OR organization_id IS NULL)
ORDER BY organization_id IS NULL, id
"""


async def load_token(connection: AsyncConnection[Any], digest: bytes) -> TokenView | None:
    """The token of this digest, whatever its state; None if nobody issued it."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_BY_DIGEST, (digest,))
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
    """Everything this organization may ask for, by name."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_CREDENTIALS, (organization_id,))
        credential_rows = await cursor.fetchall()
        await cursor.execute(_MODELS, (organization_id,))
        model_rows = await cursor.fetchall()
        asked = {name for row in model_rows for part in _priced(row) for name in candidates(part)}
        await cursor.execute(PRICES_SQL, {"organization": organization_id, "models": sorted(asked)})
        book = compile_book(await cursor.fetchall())
    opened = [
        (row, _credential(row, defaults), secret)
        for row in credential_rows
        if (secret := _secret(row, keyring)) is not None
    ]
    models: dict[str, ModelView] = {}
    for row in model_rows:
        upstream = row["upstream_name"] or row["name"]
        known_as = _facts(row)
        routes = tuple(
            Route(
                view,
                upstream,
                heads_for(view.provider, view.base_url, facts["api_version"], upstream, secret, view.origin),
                (
                    (b"x-tollgate-provider", view.provider.encode()),
                    (b"x-tollgate-model", upstream.encode("ascii", "replace")),
                ),
                book,
                _name(row),
                row["priced_as"],
                known_as.context_window if known_as else None,
                known_as.max_output if known_as else None,
                Upstream(
                    provider=view.provider,
                    model=upstream,
                    longest=known_as.max_output if known_as else None,
                    caps=known_as.caps if known_as else frozenset(),
                    efforts=known_as.efforts if known_as else (),
                ),
                known_as.mode if known_as else "",
            )
            for facts, view, secret in opened
            if view.provider == row["provider"] and row["credential_id"] in (None, facts["id"])
        )
        model = ModelView(row["name"], row["provider"], _unix(row["created_at"]), row["provider"], routes)
        known = models.get(model.name)
        models[model.name] = model if known is None else _merged(known, model)
    order = {view.id: place for place, (_, view, _) in enumerate(opened)}
    return {
        name: replace(model, routes=tuple(sorted(model.routes, key=lambda route: order[route.credential.id])))
        for name, model in models.items()
    }


def _name(row: dict[str, Any]) -> str:
    """The name that a model is priced by: the provider's own. An Azure deployment has any name, so the model's own is taken there.

    Never both: what a provider calls otherwise may be another model, with other prices. `priced_as` says so where it is not.
    """
    named: str = row["name"] if row["provider"] == "azure_openai" else row["upstream_name"] or row["name"]
    return named


def _priced(row: dict[str, Any]) -> tuple[str, ...]:
    return (_name(row), row["priced_as"]) if row["priced_as"] else (_name(row),)


def _facts(row: dict[str, Any]) -> ModelFacts | None:
    """What is known of a model's size, by the names its prices have."""
    provider, _, other = row["priced_as"].rpartition("/")
    vendor = provider or row["provider"]
    found = (model_facts().get((vendor, name)) for name in names_of(vendor, other or _name(row)))
    return next((facts for facts in found if facts is not None), None)


def _merged(known: ModelView, more: ModelView) -> ModelView:
    """One model under one name, though several rows offer it: a credential counts once, by the first row that names it."""
    if not known.routes:
        return more
    seen = {route.credential.id for route in known.routes}
    added = tuple(route for route in more.routes if route.credential.id not in seen)
    return replace(known, routes=known.routes + added)


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
    )


def _unix(at: datetime) -> int:
    return int(at.timestamp())
