"""What every resource shares: who asks, errors, validation, pages, repeated creates, lost updates, the schema."""
