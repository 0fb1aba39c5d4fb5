"""Amounts in the smallest unit of a currency in, the same in its main unit out."""

from decimal import Decimal

_USUAL_DIGITS = 2
# ISO 4217: the currencies whose smallest unit is not a hundredth.
_DIGITS = {
    **dict.fromkeys(
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(),  # noqa: SIM905 - easier to read
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}


def digits_of(currency: str) -> int:
    """How many digits an amount has after the point."""
    return _DIGITS.get(currency, _USUAL_DIGITS)


def amount_of(smallest: int, currency: str) -> Decimal:
    """1250 of EUR is 12.50, of JPY 1250."""
    return Decimal(smallest).scaleb(-digits_of(currency))
