"""What policies, limits and budgets mean for one call: may it be made, what does it take, what has it cost."""
