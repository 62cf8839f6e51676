"""The backend's connection: Django finds it by this module's name."""

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.backends.postgresql import base

from apps.core.tenancy import INSTALLATION, current_scope, tell


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection whose transactions begin with the scope that they run in."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute_wrappers.append(self._within_a_transaction)

    def set_autocommit(self, autocommit: bool, force_begin_transaction_with_broken_autocommit: bool = False) -> None:  # noqa: FBT001, FBT002 - Django's signature
        """As Django's, which begins every outermost transaction this way."""
        super().set_autocommit(autocommit, force_begin_transaction_with_broken_autocommit)
        scope = current_scope()
        if not autocommit and scope is not INSTALLATION:
            tell(self, scope)

    def _within_a_transaction(
        self,
        execute: Callable[..., Any],
        sql: str,
        params: Any,
        many: bool,  # noqa: FBT001 - Django's signature
        context: dict[str, Any],
    ) -> Any:
        """A statement outside of any transaction gets one of its own: settings that outlive one would reach who comes next."""
        if self.in_atomic_block or current_scope() is INSTALLATION:
            return execute(sql, params, many, context)
        with transaction.atomic(using=self.alias):
            return execute(sql, params, many, context)
