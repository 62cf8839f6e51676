"""Every write to policies and budgets: the rule, the transaction, the admin event."""
