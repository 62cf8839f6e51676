"""The record's scheduled work. Every task may run twice, or at the same time as itself."""

import asyncio

from celery import shared_task
from django.conf import settings
from django.db import connection

from apps.audit.delivery import DatabaseAway, Delivery, database
from apps.audit.flusher import adopt
from apps.core.databases import libpq_url
from apps.core.logs import get_logger

log = get_logger(__name__)


@shared_task
def partitions_ensure() -> None:
    """Make the record's partitions of this month and the next three."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT audit_ensure_partitions(CURRENT_DATE, (CURRENT_DATE + interval '3 months')::date)")


@shared_task
def spools_adopt() -> int:
    """Deliver the spools of gateways that died, where this worker shares their folder. Returns how many."""
    if not settings.SPOOL_DIR.is_dir():
        return 0
    return asyncio.run(_adopt())


async def _adopt() -> int:
    delivery = Delivery(database(libpq_url(settings.DATABASE_URL)), settings.SPOOL_DIR)
    try:
        return await adopt(settings.SPOOL_DIR, delivery)
    except DatabaseAway as away:
        log.warning("spools of dead processes wait for PostgreSQL", reason=str(away))
        return 0
    finally:
        await delivery.close()
