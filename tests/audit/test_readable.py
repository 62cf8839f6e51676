"""How amounts of money are shown: never more than there is, and never a zero for something."""

from decimal import Decimal

import pytest

from apps.audit.readable import money, money_compact, money_exact


@pytest.mark.parametrize(
    ("amount", "short", "exact"),
    [
        (None, "—", "—"),
        ("0", "$0.00", "$0.00"),
        ("0E-12", "$0.00", "$0.00"),
        ("1234.5678", "$1,234.56", "$1,234.5678"),
        ("99.999999999999", "$99.9999", "$99.999999999999"),
        ("2.500000000000", "$2.50", "$2.50"),
        ("0.000123450001", "$0.000123", "$0.000123450001"),
        ("0.000000000001", "<$0.000001", "$0.000000000001"),
        ("-0.5", "-$0.50", "-$0.50"),
        ("-0.0000001", "-<$0.000001", "-$0.0000001"),
        ("1E+3", "$1,000.00", "$1,000.00"),
    ],
)
def test_money_is_short_in_lists_and_exact_elsewhere(amount: str | None, short: str, exact: str) -> None:
    value = None if amount is None else Decimal(amount)
    assert (money(value), money_exact(value)) == (short, exact)


@pytest.mark.parametrize(
    ("amount", "short"),
    [
        ("999.999", "$999.99"),
        ("1000", "$1,000"),
        ("12345.99", "$12,345"),
        ("-12345.99", "-$12,345"),
        ("999999.99", "$999,999"),
        ("1239999", "$1.23 M"),
        ("-5000000000", "-$5,000.00 M"),
    ],
)
def test_large_amounts_need_little_room(amount: str, short: str) -> None:
    assert money_compact(Decimal(amount)) == short
