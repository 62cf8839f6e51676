"""How a credential fares, for its page in the console."""

import time
from datetime import UTC, datetime
from typing import Any

from apps.providers.health.reading import circuits_of
from apps.providers.health.words import circuit_reason, circuit_remedy, circuit_state, refusal_remedy
from apps.providers.models import Credential


def credential_health(credential: Credential) -> dict[str, Any]:
    """What the template console/credential_health.html shows. `circuits` None: the store cannot be asked."""
    at = time.time()
    found = circuits_of(credential.pk, at)
    status = credential.refused_status
    return {
        "refusal_remedy": "" if status is None else refusal_remedy(status, credential.refused_model),
        "circuits": None
        if found is None
        else [
            {
                "model": shut.model,
                "reason": circuit_reason(shut),
                "since": datetime.fromtimestamp(shut.at, UTC),
                "state": circuit_state(shut, at),
                "remedy": circuit_remedy(shut),
            }
            for shut in found
        ],
    }
