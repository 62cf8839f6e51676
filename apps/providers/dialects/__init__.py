"""How each API speaks: pure functions, no clock, no settings, no network. One module for each, all of one shape (dialect.py)."""

from collections.abc import Mapping

from apps.providers.dialects import anthropic, gemini, openai
from apps.providers.dialects.dialect import Dialect

# By the name that records and the table of providers (apps.providers.kinds) have for it.
DIALECTS: Mapping[str, Dialect] = {each.name: each for each in (openai.DIALECT, anthropic.DIALECT, gemini.DIALECT)}
