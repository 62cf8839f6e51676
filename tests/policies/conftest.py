"""The same organizations and ways in as the control plane's tests have."""

from tests.control.conftest import acme, actor, credential, loopback, owner, run, service, upstream, zeta

__all__ = ["acme", "actor", "credential", "loopback", "owner", "run", "service", "upstream", "zeta"]
