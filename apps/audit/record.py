"""What a request record consists of, as the gateway writes it and the flusher reads it; and how foreign values are made
fit.

One table, RECORD_COLUMNS, says what PostgreSQL gets; a test holds it against the model and the database. No Django.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

# Column → SQL type. `not null` means that a record of an older or newer gateway which lacks the key, or says null, gets
# the type's neutral value ('', false, 0, [], no elements) instead. `recorded_at` is missing: PostgreSQL sets it.
RECORD_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "id": "uuid not null",
        "created_at": "timestamptz not null",
        "organization_id": "uuid",
        "service_id": "uuid",
        "token_id": "uuid",
        "credential_id": "uuid",
        "endpoint": "varchar(32) not null",
        "dialect": "varchar(32) not null",
        "method": "varchar(8) not null",
        "path": "varchar(300) not null",
        "model_asked": "varchar(255) not null",
        "model_served": "varchar(255) not null",
        "provider": "varchar(32) not null",
        "stream": "boolean not null",
        "status": "smallint not null",
        "error_code": "varchar(64) not null",
        "input_tokens": "bigint",
        "cache_read_tokens": "bigint",
        "cache_write_5m_tokens": "bigint",
        "cache_write_1h_tokens": "bigint",
        "output_tokens": "bigint",
        "reasoning_tokens": "bigint",
        "audio_input_tokens": "bigint",
        "audio_output_tokens": "bigint",
        "usage_estimated": "boolean not null",
        "first_byte_us": "bigint",
        "total_us": "bigint not null",
        "upstream_us": "bigint not null",
        "gateway_us": "bigint not null",
        "bytes_in": "bigint not null",
        "bytes_out": "bigint not null",
        "client_address": "inet",
        "user_agent": "varchar(300) not null",
        "end_user": "varchar(255) not null",
        "client_request_id": "varchar(200) not null",
        "upstream_request_id": "varchar(200) not null",
        "attempts": "jsonb not null",
        "image_input_tokens": "bigint",
        "image_output_tokens": "bigint",
        "other_usage": "jsonb",
        "service_tier": "varchar(32) not null",
        "cost_usd": "numeric(24,12)",
        "price_ids": "uuid[] not null",
        "tags": "text[] not null",
        "flags": "text[] not null",
        "decision": "jsonb",
    }
)

# Longest text of each text column, in characters: the second argument of `clean_text`.
MAX_LENGTHS: Mapping[str, int] = MappingProxyType(
    {name: int(found[1]) for name, kind in RECORD_COLUMNS.items() if (found := re.match(r"varchar\((\d+)\)", kind))}
)

_BIGINT_MAX = (1 << 63) - 1
# Control characters would end a line or drive a terminal; bidirectional overrides make text read as what it is not.
_UNWANTED = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)))


def clean_text(value: object, max_length: int) -> str:
    """A client's or upstream's text as a column takes it: without control characters and lone surrogates, and short
    enough.

    `max_length` is in characters (MAX_LENGTHS). Anything but text becomes "". Only the first 4 * `max_length`
    characters are looked at.
    """
    if not isinstance(value, str):
        return ""
    if len(value) <= max_length and value.isascii() and value.isprintable():  # nearly always, at no cost
        return value
    return value[: 4 * max_length].encode("utf-8", "ignore").decode().translate(_UNWANTED)[:max_length]


def clean_count(value: object) -> int | None:
    """A provider's number of tokens as a column takes it: a whole number that fits a bigint; None for anything else."""
    return value if type(value) is int and 0 <= value <= _BIGINT_MAX else None
