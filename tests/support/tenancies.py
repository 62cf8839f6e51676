"""The implementations of the tenancy port that every contract is tried on. An overlay adds its own class here."""

IMPLEMENTATIONS = ("single", "multi", "tests.tenancy.plans.Plans")
