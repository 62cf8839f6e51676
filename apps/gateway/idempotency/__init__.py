"""Idempotency-Key: a request that is sent again with the same key is answered again, and neither made nor charged a second time."""
