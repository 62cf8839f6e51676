"""Realtime sessions: a client's WebSocket relayed to a provider's, every response in it held for, priced and recorded."""
