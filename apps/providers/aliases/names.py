"""What a name that a client asks for means: an alias, a model, or a model of one provider. Pure.

In this order: an alias of exactly this name; an alias whose pattern begins as the name does, the longest one; a model of this name;
`provider/model`; and an alias whose pattern begins with its star, which thereby catches only what nothing else answers to. What is
left is asked of the provider that it names, or that documents its prefix, though nobody has listed it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from apps.providers.kinds import KINDS
from apps.providers.names import model_name_is_valid

STAR = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What an alias leads to. `credential`: 32 hexadecimal digits; empty: any that serves the model."""

    model: str  # name or provider/name; may hold a star
    credential: str = ""
    tier: int = 1
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasRule:
    """An alias and its targets, in the order of their tiers."""

    name: str
    targets: tuple[Target, ...]
    strategy: str = "ordered"
    created: int = 0  # Unix seconds

    @property
    def is_pattern(self) -> bool:
        """Whether it stands for more names than one."""
        return STAR in self.name


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a name means. With an alias, `star` is what its star stands for; without, `model` is one of `provider`'s, or of any.

    `is_unlisted`: there is no such model here, and `provider` is asked for it all the same.
    """

    alias: AliasRule | None = None
    star: str = ""
    provider: str = ""
    model: str = ""
    is_unlisted: bool = False


class _Pattern(NamedTuple):
    """An alias with a star: what stands before and after it."""

    first: str
    last: str
    rule: AliasRule


class AliasBook:
    """Aliases ready to be asked. Of several with the same name the first counts: give an organization's own first."""

    def __init__(self, rules: Iterable[AliasRule]) -> None:
        self.exact: dict[str, AliasRule] = {}
        patterns: dict[str, AliasRule] = {}
        for rule in rules:
            (patterns if rule.is_pattern else self.exact).setdefault(rule.name, rule)
        ordered = [
            _Pattern(rule.name.partition(STAR)[0], rule.name.partition(STAR)[2], rule) for rule in patterns.values()
        ]
        # What says most comes first; the sort keeps an organization's own before the installation's.
        ordered.sort(key=lambda each: (-len(each.first), -len(each.last)))
        self._early = [each for each in ordered if each.first]
        self._late = [each for each in ordered if not each.first]

    @property
    def patterns(self) -> list[AliasRule]:
        """Those with a star."""
        return [each.rule for each in (*self._early, *self._late)]

    def early(self, name: str) -> tuple[AliasRule, str] | None:
        """The alias that comes before models, and what its star stands for."""
        found = self.exact.get(name)
        return (found, "") if found is not None else _matching(self._early, name)

    def late(self, name: str) -> tuple[AliasRule, str] | None:
        """The alias that catches what nothing else answers to."""
        return _matching(self._late, name)


def meaning_of(
    name: str, aliases: AliasBook, is_listed: Callable[[str, str], bool], owner_of: Callable[[str, str], str]
) -> Meaning | None:
    """What `name` means; None: nothing.

    `is_listed(provider, model)`: whether there is such a model; provider "": of any. `owner_of(provider, model)`: who is asked for
    it where there is none; provider "": whoever its prefix says; empty: nobody.
    """
    if (found := aliases.early(name)) is not None:
        return Meaning(*found)
    if is_listed("", name):
        return Meaning(model=name)
    provider, model = spelled(name)
    if provider and is_listed(provider, model):
        return Meaning(provider=provider, model=model)
    if (found := aliases.late(name)) is not None:
        return Meaning(*found)
    model = model or name
    owner = owner_of(provider, model)
    return Meaning(provider=owner, model=model, is_unlisted=True) if owner else None


def target_of(text: str, star: str, is_listed: Callable[[str, str], bool]) -> Meaning | None:
    """The model that a target means, never an alias; None: the name that comes out is none.

    A model that is not listed is meant all the same: the target may say where to ask for it.
    """
    name = text.replace(STAR, star)
    if not model_name_is_valid(name):
        return None
    if is_listed("", name):
        return Meaning(model=name)
    provider, model = spelled(name)
    return Meaning(provider=provider, model=model) if provider else Meaning(model=name)


def spelled(name: str) -> tuple[str, str]:
    """The parts of `provider/model`; two empty ones if the name does not begin with a provider's."""
    provider, _, model = name.partition("/")
    return (provider, model) if model and provider in KINDS else ("", "")


def pattern_is_valid(text: str) -> bool:
    """Whether `text` is a model's name, or one with a single star in it."""
    return text.count(STAR) <= 1 and model_name_is_valid(text.replace(STAR, "x"))


def fits(pattern: str, name: str) -> str | None:
    """What the star of `pattern` stands for in `name`; None if it does not fit. A pattern without a star fits itself."""
    if STAR not in pattern:
        return "" if pattern == name else None
    first, _, last = pattern.partition(STAR)
    return _between(first, last, name)


def _matching(patterns: Sequence[_Pattern], name: str) -> tuple[AliasRule, str] | None:
    for pattern in patterns:
        star = _between(pattern.first, pattern.last, name)
        if star is not None:
            return pattern.rule, star
    return None


def _between(first: str, last: str, name: str) -> str | None:
    if len(name) < len(first) + len(last) or not name.startswith(first) or not name.endswith(last):
        return None
    return name[len(first) : len(name) - len(last)]
