"""What a writer of requests knows of the model that it writes to. Pure."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """A model at a provider. `caps`, `efforts`: as in price_book.json; empty where nothing is known of it."""

    provider: str  # as in apps.providers.kinds
    model: str  # the provider's own name for it
    longest: int | None = None  # output tokens at most, where known
    caps: frozenset[str] = field(default_factory=frozenset)
    efforts: tuple[str, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether the absence of a capability says that it is lacking."""
        return bool(self.caps)

    def lacks(self, cap: str) -> bool:
        """Whether the model is known not to have a capability. What nobody has described may have any."""
        return self.is_known and cap not in self.caps
