"""Limits and budgets as the data plane asks them: one script before a call, one after it that nobody waits for."""
