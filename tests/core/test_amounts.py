"""Amounts as people read them: with the digits that they have, and without an exponent."""

import pytest

from app.core.amounts import exact, hundredths


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0"),
        (10.0, "10"),
        (100, "100"),
        (0.5, "0.5"),
        (0.000059, "0.000059"),
        (1e-05, "0.00001"),
        (2_000_000, "2000000"),
        (1e9, "1000000000"),
        (1234567.25, "1234567.25"),
    ],
)
def test_amount_has_all_its_digits(amount: float, text: str) -> None:
    assert exact(amount) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0.00"), (1e-9, "<0.01"), (0.0049, "<0.01"), (0.006, "0.01"), (12.345, "12.35")],
)
def test_hundredths_tell_little_from_nothing(amount: float, text: str) -> None:
    assert hundredths(amount) == text
