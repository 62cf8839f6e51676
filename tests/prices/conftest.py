"""The control plane's fixtures, and ways to write a sheet by hand."""

from tests.control.conftest import acme, actor, run, zeta

__all__ = ["acme", "actor", "run", "zeta"]
