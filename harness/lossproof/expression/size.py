"""Sizes of axes: integer polynomials in the named dimensions, such as `V`, `V + 1` or `V*W`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Monomial = tuple[str, ...]


@dataclass(frozen=True)
class Size:
    """A polynomial in dimension names; terms are sorted, coefficients nonzero."""

    terms: tuple[tuple[Monomial, int], ...]

    @staticmethod
    def of(value: str | int | Size) -> Size:
        if isinstance(value, Size):
            return value
        if isinstance(value, str):
            return Size((((value,), 1),))
        return _collect({(): value})

    def __add__(self, other: Size) -> Size:
        total = dict(self.terms)
        for monomial, factor in other.terms:
            total[monomial] = total.get(monomial, 0) + factor
        return _collect(total)

    def __mul__(self, other: Size) -> Size:
        total: dict[Monomial, int] = {}
        for left, a in self.terms:
            for right, b in other.terms:
                monomial = tuple(sorted(left + right))
                total[monomial] = total.get(monomial, 0) + a * b
        return _collect(total)

    @property
    def number(self) -> int | None:
        """The size where it does not depend on a dimension, else None."""
        if not self.terms:
            return 0
        return self.terms[0][1] if len(self.terms) == 1 and self.terms[0][0] == () else None

    @property
    def name(self) -> str | None:
        """The dimension that the size is, or None."""
        if len(self.terms) == 1 and self.terms[0][1] == 1 and len(self.terms[0][0]) == 1:
            return self.terms[0][0][0]
        return None

    def at(self, dimensions: Mapping[str, int]) -> int:
        """The number for given dimensions; KeyError for one that is missing."""
        total = 0
        for monomial, factor in self.terms:
            for dimension in monomial:
                factor *= dimensions[dimension]
            total += factor
        return total

    def within(self, dimensions: Mapping[str, Size]) -> Size:
        """The size with other sizes in place of its dimensions; KeyError for one that is missing."""
        total = Size(())
        for monomial, factor in self.terms:
            part = Size.of(factor)
            for dimension in monomial:
                part = part * dimensions[dimension]
            total = total + part
        return total

    def __str__(self) -> str:
        parts = []
        for monomial, factor in self.terms:
            head = [str(factor)] if factor != 1 or not monomial else []
            parts.append("*".join(head + list(monomial)))
        return " + ".join(parts) if parts else "0"


def _collect(terms: dict[Monomial, int]) -> Size:
    return Size(tuple(sorted((m, f) for m, f in terms.items() if f)))


ONE = Size.of(1)

Sizes = tuple[Size, ...]


def show(sizes: Sizes) -> str:
    """`[N, V]`"""
    return "[" + ", ".join(map(str, sizes)) + "]"
