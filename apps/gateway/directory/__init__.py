"""What the hot path knows: tokens and routes, kept in memory, refreshed when the database says so."""
