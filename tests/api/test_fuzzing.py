"""Requests made from the schema itself, right and wrong ones: the API answers as the schema says, and never fails.

Examples are the same in every run. Paths name rows that are there, so that handlers run.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import yaml
from django.core import signals
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.api.world import furnish
from tests.documents.markdown import ROOT

EXAMPLES = 3  # for each operation
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|req_[0-9a-f]{32}")


def application(environ: Any, start_response: Any) -> Any:
    """Django, in this process and this test's transaction."""
    from django.core.handlers.wsgi import WSGIHandler

    global _handler
    _handler = _handler or WSGIHandler()
    return _handler(environ, start_response)


_handler: Any = None

api = schemathesis.openapi.from_dict(yaml.safe_load((ROOT / "docs/openapi.yaml").read_text()))
api.app = application
api.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
api.config.phases.coverage.enabled = False  # every bound of every field: minutes, of which these examples find the same


@pytest.fixture
def world(acme: Any, with_key: Any, settings: Any) -> Iterator[tuple[dict[str, str], str]]:
    """Rows that are there, and a key that may do everything."""
    ends = (signals.request_started, signals.request_finished)
    for each in ends:  # on the connection of this test's transaction
        each.disconnect(close_old_connections)
    settings.API_RATE_LIMIT = settings.API_FAILURE_LIMIT = "1000000/m"
    settings.ALLOWED_HOSTS = ["*"]
    yield furnish(acme), with_key().key
    for each in ends:
        each.connect(close_old_connections)


@api.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_answers_are_as_the_schema_says(case: Case, world: tuple[dict[str, str], str]) -> None:
    rows, key = world
    for name, value in (case.path_parameters or {}).items():
        if isinstance(value, str) and _ID.fullmatch(value):
            case.path_parameters[name] = rows[name]
    if "If-Match" in (case.headers or {}):
        case.headers["If-Match"] = "*"  # so that changes are made
    # What keeps every rule of the schema may still break one of ours: a name that is taken, a model that has no price.
    case.call_and_validate(headers={"Authorization": f"Bearer {key}"}, excluded_checks=[positive_data_acceptance])
