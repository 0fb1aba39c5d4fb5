"""Money as people read it: an amount in the smallest unit and its currency in, "1,234.50 EUR" out."""

from decimal import Decimal
from typing import Final

# ISO 4217: most currencies have hundredths, these have not.
_DIGITS: Final = {
    **dict.fromkeys(
        ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV"), 0
    ),
    **dict.fromkeys(("XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}


def money(amount: int, currency: str) -> str:
    """The amount with its currency: 123450 of EUR are 1,234.50 EUR, 1500 of JPY are 1,500 JPY."""
    return f"{Decimal(amount).scaleb(-_DIGITS.get(currency, 2)):,f} {currency}"
