"""How each API speaks: pure functions, no clock, no settings, no network."""
