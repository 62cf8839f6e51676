"""The same organizations and ways in as the control plane's tests have."""

from tests.control.conftest import acme, actor, owner, run, service, zeta

__all__ = ["acme", "actor", "owner", "run", "service", "zeta"]
