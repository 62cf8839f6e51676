"""The console's pages about governance: policies and what limits a token, budgets, alerts, webhooks, adjustments."""

from apps.policies.admin import adjustments, alerts, budgets, decisions, policies, webhooks

__all__ = ["adjustments", "alerts", "budgets", "decisions", "policies", "webhooks"]
