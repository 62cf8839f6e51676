"""A model as it is listed, or as an alias names it, in plain values. Pure."""

from dataclasses import dataclass, replace

from apps.providers.prices.book import names_of
from apps.providers.prices.seed import ModelFacts, model_facts


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One provider's model under the name that clients ask for."""

    provider: str
    name: str
    upstream_name: str = ""
    credential: str = ""  # the only one that serves it, 32 hexadecimal digits; empty: any of the provider's
    priced_as: str = ""
    created: int = 0  # Unix seconds; 0: not known
    is_unlisted: bool = False  # nobody has listed it: a client has named it
    is_own: bool = False  # an organization has listed it for itself, not the installation for all
    charged_by: str = ""  # the name that it is priced by, where that is not for the row to say

    @property
    def upstream(self) -> str:
        """The provider's own name for it."""
        return self.upstream_name or self.name

    @property
    def priced(self) -> str:
        """The name that it is priced by: the provider's own. An Azure deployment has any name, so the model's own is taken there.

        Never both: what a provider calls otherwise may be another model, with other prices. `priced_as` says so where it is not.
        """
        return self.charged_by or (self.name if self.provider == "azure_openai" else self.upstream)

    @property
    def book_names(self) -> tuple[str, ...]:
        """What its prices are looked up by."""
        return (self.priced, self.priced_as) if self.priced_as else (self.priced,)

    def charged_as(self, listed: "ModelRow | None") -> "ModelRow":
        """The same, priced as what the installation itself lists of what is asked for upstream; None: by that name alone."""
        if listed is None:
            return replace(self, charged_by=self.upstream, priced_as="")
        return replace(self, charged_by=listed.priced, priced_as=listed.priced_as)

    @property
    def names(self) -> tuple[str, ...]:
        """What deny lists know it by: also as what it is at its provider, whatever it is called here.

        One that clients, or those who list models, may spell as they like goes by what it is a spelling of, too.
        """
        names = spellings(self.provider, self.name) if self.is_unlisted else (self.name,)
        if self.upstream != self.name:
            names = tuple(dict.fromkeys((*names, *spellings(self.provider, self.upstream))))
        return (*names, *(f"{self.provider}/{name}" for name in names))

    def facts(self) -> ModelFacts | None:
        """What is known of its size, by the names its prices have."""
        provider, _, other = self.priced_as.rpartition("/")
        vendor = provider or self.provider
        found = (model_facts().get((vendor, name)) for name in names_of(vendor, other or self.priced))
        return next((facts for facts in found if facts is not None), None)


def spellings(provider: str, name: str) -> tuple[str, ...]:
    """The name, and what it may be a spelling of: without its date, tag or maker, or what its provider says it means."""
    plain = [
        part for part in name.rpartition("/")[2].split(":") if part
    ]  # of openai/gpt-4o:free, ft:gpt-4o-2024-08-06:acme
    return tuple(dict.fromkeys(each for part in (name, *plain) for each in names_of(provider, part)))
