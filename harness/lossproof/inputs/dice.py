"""Random numbers of a float format, from integers and uniforms alone.

Nothing here calls exp, log or a normal distribution: their last bits differ between machines and a seed is to
give the same case everywhere.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lossproof.floats import FORMATS, Format
from lossproof.inputs.case import Array

LN2 = 0.6931471805599453  # nearest float64 to log 2

Shape = tuple[int, ...] | int


@dataclass(frozen=True)
class Word:
    """A random word and the float of its size: the bits of its fraction and of its exponent."""

    bits: int
    fraction: int
    exponent: int

    @cached_property
    def real(self) -> np.dtype[Any]:
        return np.dtype(f"float{self.bits}")

    @cached_property
    def integer(self) -> np.dtype[Any]:
        return np.dtype(f"int{self.bits}")

    @cached_property
    def unsigned(self) -> np.dtype[Any]:
        return np.dtype(f"uint{self.bits}")


NARROW, WIDE = Word(32, 23, 8), Word(64, 52, 11)
"""Formats of up to 24 bits are drawn by narrow words, two of which come from one number of the generator."""


def mix(*parts: object, size: int = 8) -> int:
    """A number of `size` bytes (8 unless given, 64 at most) that depends on every part and on nothing else."""
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=size).digest(), "big")


def to_dtype(array: Array, dtype: str) -> Array:
    """The numbers rounded to a dtype; finite ones stay finite."""
    form = FORMATS[dtype]
    with np.errstate(all="ignore"):
        rounded = np.asarray(array.astype(form.dtype))
    if array.dtype != form.dtype:
        beyond = np.isinf(rounded)
        beyond &= np.isfinite(array)
        if beyond.any():
            rounded[beyond] = np.copysign(form.largest, array[beyond]).astype(form.dtype)
    return rounded


@dataclass(frozen=True)
class Dice:
    """A stream of random numbers for one format, seeded on first use.

    Each entry of an array is drawn on its own; bounds may be arrays that broadcast to the shape. Entries come
    as float32 for formats of up to 24 bits, else as float64, choices as int64 or bool. The stream consists of
    the generator's words and its uniforms, which no version of NumPy changes.
    """

    name: tuple[object, ...]
    form: Format

    @classmethod
    def of(cls, dtype: str, *parts: object) -> Dice:
        """The stream named by the parts."""
        return cls(parts, FORMATS[dtype])

    @cached_property
    def word(self) -> Word:
        return NARROW if self.form.precision <= NARROW.fraction + 1 else WIDE

    @cached_property
    def _rng(self) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64(mix(*self.name)))

    def uniform(self, shape: Shape = ()) -> Array:
        """Multiples of 2^−53 in [0, 1), for choices."""
        return np.asarray(self._rng.random(shape))

    def below(self, end: int | Array, shape: Shape = ()) -> Array:
        """Integers of range(end)."""
        return np.asarray((self.uniform(shape) * end).astype(np.int64))

    def between(self, low: int | Array, high: int | Array, shape: Shape = ()) -> Array:
        """Integers from low to high, both included."""
        return np.asarray(low + self.below(high - low + 1, shape))

    def chance(self, eighths: int, shape: Shape = ()) -> Array:
        """True in so many of eight draws."""
        return np.asarray(self.uniform(shape) < eighths / 8)

    def words(self, shape: Shape = ()) -> Array:
        """Unsigned integers of all bits of a word."""
        return self._cut(shape, self.word.unsigned)

    def octets(self, shape: Shape = ()) -> Array:
        """Integers of range(256) (uint8)."""
        return self._cut(shape, np.dtype(np.uint8))

    def small(self, end: int, shape: Shape = ()) -> Array:
        """Integers of range(end), `end` up to 256, as entries."""
        return (self.octets(shape).astype(np.uint16) * end >> 8).astype(self.word.real)

    def _cut(self, shape: Shape, kind: np.dtype[Any]) -> Array:
        """Numbers of the generator, cut into integers of a type from the lowest bits up."""
        count = shape if isinstance(shape, int) else math.prod(shape)
        numbers = np.asarray(self._rng.bit_generator.random_raw(-(-count * kind.itemsize // 8)))
        pieces = numbers.astype("<u8", copy=False).view(kind.newbyteorder("<"))
        return pieces[:count].astype(kind, copy=False).reshape(shape)

    def even(self, exponent: int, shape: Shape = ()) -> Array:
        """Numbers evenly spread over ±2^exponent."""
        numbers = self.words(shape).view(self.word.integer).astype(self.word.real)
        numbers *= 2.0 ** (exponent + 1 - self.word.bits)
        return numbers

    def signed(self, low: int | Array, high: int | Array, shape: Shape = ()) -> Array:
        """Numbers of both signs, of exponents low to high (both included; normal numbers of the word's float),
        evenly spread over the exponents.

        A word gives sign and fraction as they stand, and the bits between them choose the exponent.
        """
        word, words = self.word, self.words(shape)
        chosen = words >> word.fraction
        if isinstance(low, int) and isinstance(high, int):
            places = _places(word, low, high).take(chosen, mode="wrap")  # the sign lies above
        else:
            chosen &= (1 << word.exponent) - 1
            places = _exponents(word, low, high, chosen)
        words &= (1 << word.bits - 1) | (1 << word.fraction) - 1
        words |= places
        return words.view(word.real)

    def magnitudes(self, low: int | Array, high: int | Array, shape: Shape = ()) -> Array:
        """Positive numbers of exponents low to high (both included), evenly spread over the exponents."""
        return np.asarray(np.abs(self.signed(low, high, shape)))

    def ordinary(self, rows: int, classes: int, first: int | None = None) -> Array:
        """[rows, classes] numbers such as a model produces: in each row halves and integers, or full precision
        of middling, of small or of many magnitudes, from 1e-3 to 1e2.

        first: the numbers of the first row are uniform in ±2^first instead.
        """
        numbers, style = np.empty((rows, classes), self.word.real), self.below(4, rows)
        if first is not None:
            numbers[:1], style[0] = self.even(first, (1, classes)), -1
        draws: tuple[Callable[[tuple[int, int]], Array], ...] = (
            lambda shape: self.small(33, shape) * 0.5 - 8.0,
            lambda shape: self.even(2, shape) + self.even(2, shape),
            lambda shape: self.signed(-3, 2, shape),
            lambda shape: self.signed(-10, 6, shape),
        )
        for number, draw in enumerate(draws):
            (at,) = (style == number).nonzero()
            if at.size:
                numbers[at] = draw((at.size, classes))
        return numbers

    def subnormal(self, shape: Shape) -> Array:
        """Signed multiples of the smallest subnormal, most of them below the smallest normal number."""
        numbers = self.signed(0, self.form.precision - 1, shape)
        np.trunc(numbers, out=numbers)
        numbers *= self.form.smallest_subnormal
        return numbers

    def nudged(self, array: Array, most: int, shape: tuple[int, ...] | None = None) -> Array:
        """Each number rounded to the format and moved by up to `most` units in its last place; 0 stays.

        shape: the array is broadcast to it, and every copy is moved on its own.
        """
        start = to_dtype(array, self.form.name).astype(self.word.real)
        moved = self.small(2 * most + 1, shape or start.shape)
        moved -= most
        moved *= np.where(start == 0, 0.0, self.ulp(start))
        moved += start
        return moved

    def ulp(self, array: Array) -> Array:
        """The distance to the next number of the format."""
        exponents = np.frexp(np.maximum(np.abs(array), self.form.smallest_normal))[1]
        return np.asarray(np.ldexp(self.word.real.type(1), exponents - self.form.precision))


def _exponents(word: Word, low: int | Array, high: int | Array, chosen: Array) -> Array:
    """The bits of exponents low to high, in their place in a word, by numbers of as many bits, which are lost."""
    places = chosen.astype(np.uint32, copy=False)
    places *= np.asarray(high - low + 1, np.uint32)
    places >>= word.exponent
    places += np.asarray(low + ((1 << word.exponent - 1) - 1), np.uint32)
    places = places.astype(word.unsigned, copy=False)
    places <<= word.fraction
    return places


@functools.lru_cache(maxsize=64)
def _places(word: Word, low: int, high: int) -> Array:
    """Those bits for every number."""
    return _exponents(word, low, high, np.arange(1 << word.exponent, dtype=word.unsigned))


def natural_log(x: Array) -> Array:
    """log of positive numbers by arithmetic alone: 2·artanh((m − 1)/(m + 1)) + e·log 2, within a few ulps."""
    mantissas, exponents = np.frexp(np.asarray(x, np.float64))
    low = mantissas < 0.7071067811865476
    mantissas, exponents = mantissas * (1.0 + low), exponents - low
    s = (mantissas - 1.0) / (mantissas + 1.0)
    square, total = s * s, np.zeros_like(s)
    for odd in range(25, 0, -2):
        total = total * square + 1.0 / odd
    return np.asarray(2.0 * s * total + exponents * LN2)
