"""What a gateway's process answers requests with."""

from dataclasses import dataclass

from apps.gateway.directory.directory import Directory
from apps.gateway.governance.admission import Admission
from apps.gateway.health.health import Health
from apps.gateway.idempotency.idempotency import Idempotency
from apps.gateway.objects.owners import Owners
from apps.gateway.objects.paying import Payer
from apps.gateway.realtime.opening import Realtime
from apps.gateway.uploads.disk import UploadDisk
from apps.gateway.upstream.pool import UpstreamPool


@dataclass(frozen=True, slots=True)
class Means:
    """One of each for all requests."""

    directory: Directory
    admission: Admission
    pool: UpstreamPool
    health: Health
    realtime: Realtime
    uploads: UploadDisk
    idempotency: Idempotency
    owners: Owners
    payer: Payer
