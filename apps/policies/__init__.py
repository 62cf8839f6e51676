"""What a caller may use, how fast, and how much it may spend: policies, limits, budgets."""
