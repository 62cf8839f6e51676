"""How each API speaks: pure functions, no clock, no settings, no network. One module for each, all of one shape (dialect.py)."""
