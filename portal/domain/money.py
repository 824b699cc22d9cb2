"""Money: whole fen and a currency."""

from __future__ import annotations

from dataclasses import dataclass

CNY = "CNY"


@dataclass(frozen=True, order=True)
class Money:
    """An amount in the smallest unit of its currency (100 fen are one yuan)."""

    fen: int
    currency: str = CNY

    def __add__(self, other: Money) -> Money:
        if self.currency != other.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}")
        return Money(self.fen + other.fen, self.currency)

    def __mul__(self, quantity: int) -> Money:
        return Money(self.fen * quantity, self.currency)

    def decimal(self) -> str:
        """The amount as gateways want it: "540.00"."""
        return f"{self.fen // 100}.{self.fen % 100:02d}"

    @classmethod
    def from_decimal(cls, text: str, currency: str = CNY) -> Money:
        """Read "540", "540.5" or "540.00". Raises ValueError for anything else, negative amounts included."""
        whole, _, part = text.strip().partition(".")
        digits = (part + "00")[:2] if part else "00"
        if not whole.isdecimal() or not digits.isdecimal() or len(part) > 2:
            raise ValueError(f"not an amount: {text!r}")
        return cls(int(whole) * 100 + int(digits), currency)
