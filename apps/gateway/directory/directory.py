"""The directory: look-ups in memory, one load per miss, forgetting on change, and a bounded life without the database."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Any
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from apps.core.errors import DirectoryUnavailable
from apps.core.logs import get_logger
from apps.gateway.config import GatewayConfig
from apps.gateway.directory.changes import Change, ChangeFollower
from apps.gateway.directory.models import Models
from apps.gateway.directory.queries import load_is_set_up, load_models, load_token
from apps.gateway.directory.views import TokenView

log = get_logger(__name__)

_TOKENS_MAX = 100_000
_ORGANIZATIONS_MAX = 1_000
_UNKNOWN_MAX = 10_000
_UNKNOWN_SECONDS = (
    5.0  # how long an unknown token stays unknown without being asked for again; a new token ends it at once
)
_LOAD_SECONDS = 3.0
_LOAD_TRIES = 3
_START_SECONDS = 2.0
# Whose rows say what an organization may ask for; one of the installation's says it for all.
_OF_MODELS = frozenset(
    {
        "providers_alias",
        "providers_aliastarget",
        "providers_credential",
        "providers_price",
        "providers_providerlisting",
        "providers_providermodel",
    }
)


class Directory:
    """Tokens by digest and models by organization. Look-ups are synchronous where the answer is in memory."""

    def __init__(self, config: GatewayConfig) -> None:
        self._config = config
        self._tokens: dict[bytes, TokenView] = {}
        self._unknown: dict[bytes, float] = {}  # digest → monotonic seconds until which it stays unknown
        self._models: dict[UUID, Models] = {}
        self._set_up = False  # once there is an organization, there always is
        self._loading: dict[Hashable, asyncio.Future[Any]] = {}
        self._generation = 0  # moves with every change; a load that a change overtook is not kept
        self._away_since: float | None = time.monotonic()  # None: the database is followed
        self._connected = asyncio.Event()  # at least once
        self._pool = AsyncConnectionPool[AsyncConnection[Any]](
            config.database_url,
            min_size=1,
            max_size=4,
            timeout=_LOAD_SECONDS,
            open=False,
            # Asked for a sign of life before each load, which is rare: after an outage the pool is full of dead connections.
            check=AsyncConnectionPool.check_connection,
            kwargs={"autocommit": True, "connect_timeout": 3, "application_name": "tollgate-directory"},
        )
        self._follower = ChangeFollower(
            self._dial,
            connected=self._on_connected,
            lost=self._on_lost,
            changed=self._on_changes,
            too_many=self._forget_all,
        )
        self._task: asyncio.Task[None] | None = None

    # --- Life ---

    async def start(self) -> None:
        """Begin to follow the database. Waits a moment for it, so that the first callers are not refused; not for longer,
        since a gateway may start while the database is away."""
        await self._pool.open(wait=False)
        self._task = asyncio.create_task(self._follower.run(), name="directory-follower")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_SECONDS):
                await self._connected.wait()

    async def stop(self) -> None:
        """Stop following and close the connections."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._pool.close(timeout=1)

    @property
    def is_connected(self) -> bool:
        """Whether the database is followed right now."""
        return self._away_since is None

    @property
    def is_usable(self) -> bool:
        """Whether what is in memory may be relied on: the database is followed, or was until not long ago."""
        away = self._away_since
        return away is None or (self._connected.is_set() and time.monotonic() - away < self._config.stale_limit)

    @property
    def size(self) -> int:
        """How many tokens are in memory."""
        return len(self._tokens)

    # --- Look-ups ---

    def known_token(self, digest: bytes) -> TokenView | None:
        """The token, if it is in memory and may be relied on; None says nothing."""
        if self._away_since is not None and not self.is_usable:
            return None
        return self._tokens.get(digest)

    async def token(self, digest: bytes) -> TokenView | None:
        """The token of this digest; None if nobody issued it. Raises DirectoryUnavailable if that cannot be found out."""
        if (view := self.known_token(digest)) is not None:
            return view
        if self._unknown.get(digest, 0.0) > time.monotonic() and self.is_connected:
            return None
        found: TokenView | None = await self._load(
            digest, lambda connection: load_token(connection, digest), self._keep_token
        )
        return found

    def known_models(self, organization_id: UUID) -> Models | None:
        """What the organization may ask for, if it is in memory."""
        if self._away_since is not None and not self.is_usable:
            return None
        return self._models.get(organization_id)

    async def models(self, organization_id: UUID) -> Models:
        """What the organization may ask for, by name. Raises DirectoryUnavailable."""
        known = self.known_models(organization_id)
        if known is not None:
            return known
        config = self._config
        found: Models = await self._load(
            organization_id,
            lambda connection: load_models(connection, organization_id, config.keyring, config.timeouts),
            self._keep_models,
        )
        return found

    async def is_empty(self) -> bool:
        """Whether there is no organization at all. Asked of the database until there is one; False while it cannot be asked."""
        if not self._set_up:
            try:
                self._set_up = await self._load("set up", load_is_set_up, lambda *_: None)
            except DirectoryUnavailable:
                return False
        return not self._set_up

    # --- Loading ---

    async def _load(
        self,
        key: Hashable,
        query: Callable[[AsyncConnection[Any]], Awaitable[Any]],
        keep: Callable[[Any, Any], None],
    ) -> Any:
        """One load per key at a time, shared by all who wait; a caller that leaves does not end it for the others."""
        if self._away_since is not None:
            raise DirectoryUnavailable
        task = self._loading.get(key)
        if task is None:
            task = asyncio.ensure_future(self._query(key, query, keep))
            self._loading[key] = task
            task.add_done_callback(lambda _: self._loading.pop(key, None))
        return await asyncio.shield(task)

    async def _query(
        self,
        key: Hashable,
        query: Callable[[AsyncConnection[Any]], Awaitable[Any]],
        keep: Callable[[Any, Any], None],
    ) -> Any:
        try:
            async with asyncio.timeout(_LOAD_SECONDS):
                for _ in range(_LOAD_TRIES):
                    generation = self._generation
                    async with self._pool.connection() as connection:
                        found = await query(connection)
                    if generation == self._generation:
                        keep(key, found)
                        break
                return found  # true when it was read, kept only if nothing has changed since
        except (psycopg.Error, PoolTimeout, OSError, TimeoutError) as exc:
            log.warning("directory_load_failed", why=str(exc).strip() or type(exc).__name__)
            raise DirectoryUnavailable from exc

    def _keep_token(self, digest: Any, view: TokenView | None) -> None:
        if view is not None:
            _make_room(self._tokens, _TOKENS_MAX)
            self._tokens[digest] = view
        else:
            _make_room(self._unknown, _UNKNOWN_MAX)
            self._unknown[digest] = time.monotonic() + _UNKNOWN_SECONDS

    def _keep_models(self, organization_id: Any, models: Models) -> None:
        _make_room(self._models, _ORGANIZATIONS_MAX)
        self._models[organization_id] = models

    # --- What the follower says ---

    async def _dial(self) -> AsyncConnection[Any]:
        return await AsyncConnection.connect(
            self._config.database_url, autocommit=True, connect_timeout=3, application_name="tollgate-changes"
        )

    def _on_connected(self) -> None:
        self._forget_all()  # changes may have been missed
        self._away_since = None
        self._connected.set()

    def _on_lost(self) -> None:
        if self._away_since is None:
            self._away_since = time.monotonic()

    def _forget_all(self) -> None:
        self._generation += 1
        self._tokens.clear()
        self._unknown.clear()
        self._models.clear()

    def _on_changes(self, changes: list[Change]) -> None:
        self._generation += 1
        for change in changes:
            row = change.row_id
            if row is None:
                self._forget_all()
                return
            match change.kind:
                case "services_token":
                    self._unknown.clear()
                    self._forget_tokens({digest for digest, view in self._tokens.items() if view.id == row})
                case "services_service":
                    self._forget_tokens({digest for digest, view in self._tokens.items() if view.service_id == row})
                case "orgs_organization":
                    self._forget_tokens(
                        {digest for digest, view in self._tokens.items() if view.organization_id == row}
                    )
                    self._models.pop(row, None)
                case "policies_policy" | "policies_attachment" | "policies_budget":
                    # A policy may hold for many tokens; which, only the database knows.
                    of = change.organization_id
                    self._forget_tokens(
                        {digest for digest, view in self._tokens.items() if of is None or view.organization_id == of}
                    )
                case kind if kind in _OF_MODELS and change.organization_id is not None:
                    self._models.pop(change.organization_id, None)
                case _:
                    self._models.clear()

    def _forget_tokens(self, digests: set[bytes]) -> None:
        for digest in digests:
            del self._tokens[digest]


def _make_room(cache: dict[Any, Any], limit: int) -> None:
    """Forget the oldest entry of a full cache."""
    if len(cache) >= limit:
        del cache[next(iter(cache))]
