"""A configuration as YAML: the same rows always give the same text. Pure."""

from decimal import Decimal
from typing import Any

import yaml

from apps.providers.prices.money import shown


class _Dumper(yaml.SafeDumper):
    """Writes amounts as the digits that they have."""

    def ignore_aliases(self, data: Any) -> bool:
        """Nothing is written as a reference to something else."""
        del data
        return True


def _decimal(dumper: _Dumper, value: Decimal) -> yaml.ScalarNode:
    digits = shown(value)
    kind = "float" if "." in digits else "int"
    return dumper.represent_scalar(f"tag:yaml.org,2002:{kind}", digits)


def _float(dumper: _Dumper, value: float) -> yaml.ScalarNode:
    return _decimal(dumper, Decimal(repr(value)))


_Dumper.add_representer(Decimal, _decimal)
_Dumper.add_representer(float, _float)


def written(document: dict[str, Any]) -> str:
    """The text that `apps.configuration.document` reads."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
