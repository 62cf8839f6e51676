"""What services keep with providers, at the gateway: made, found, listed and deleted by whom it belongs to, and paid for once."""
