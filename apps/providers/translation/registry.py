"""The dialects that translation knows, by endpoint. Pure."""

from collections.abc import Mapping

from apps.providers.translation.spoken import Spoken

SPOKEN: Mapping[str, Spoken] = {}
