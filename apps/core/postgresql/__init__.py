"""Django's backend for PostgreSQL, which tells every transaction whose rows it may see (apps.core.tenancy)."""
