"""A connection to Valkey or Redis for the request path: scripts only, many calls in one write."""
