"""The REST API under /api: thin views over the same actions and selectors that console and commands use."""
