"""Named reads of policies and budgets."""
