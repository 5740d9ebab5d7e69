"""Making the entries of a failing case short: zeros, ones, few digits, close to where the failure begins."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from lossproof.inputs.case import Array, Case
from lossproof.inputs.cut import Layout, Slot, balance, with_arrays
from lossproof.inputs.dice import to_dtype
from lossproof.spec.model import Domain

NUMBERS = (Domain.REAL, Domain.EXTENDED_REAL, Domain.EMBEDDING, Domain.POSITIVE, Domain.NONNEGATIVE)
DISTRIBUTIONS = (Domain.PROBABILITY, Domain.LOG_PROBABILITY)
DYADIC = {
    Domain.UNIT_INTERVAL: (0.0, 1.0, 0.5, 0.25, 0.75),
    Domain.POWER_OF_TWO: (2.0, 1.0, 0.5),
    Domain.SIGN: (1.0,),
    Domain.BINARY: (1.0, 0.0),
}
Change = Callable[[Array], Array]

LONGEST = 64
"""Arrays with more entries are shortened as a whole only."""


class Search:
    """The best case so far and what is left of the budget."""

    def __init__(
        self, case: Case, fails: Callable[[Case], bool], budget: int, legal: Callable[[Case], bool]
    ) -> None:
        self.best = case
        self.left = budget
        self._fails, self._legal = fails, legal
        self._failed = {case.fingerprint: True}

    @property
    def spent(self) -> bool:
        return self.left <= 0

    def attempt(self, candidate: Case) -> bool:
        """Whether the candidate is legal and fails; it is the best from then on. Asks once for each."""
        key = candidate.fingerprint
        if key not in self._failed:
            if self.spent or not self._legal(candidate):
                return False
            self.left -= 1
            try:
                self._failed[key] = bool(self._fails(candidate))
            except Exception:
                self._failed[key] = False
        if self._failed[key]:
            self.best = candidate
        return self._failed[key]

    def replace(self, arrays: dict[Slot, Array]) -> bool:
        return bool(arrays) and self.attempt(with_arrays(self.best, arrays))


def shorten_indices(search: Search, plan: Layout) -> None:
    """Labels to class 0, class ids to 0, 1, …, permutations to the identity, masks to True."""
    for slot in plan.slots(Domain.CLASS_INDEX):
        if not search.replace({slot: np.zeros_like(slot.of(search.best))}):
            for place in _places(slot.of(search.best)):
                search.replace({slot: _put(slot.of(search.best), place, 0)})
    _merge_classes(search, plan.slots(Domain.CLASS_ID))
    for slot in plan.slots(Domain.PERMUTATION):
        array = slot.of(search.best)
        search.replace({slot: np.broadcast_to(np.arange(array.shape[-1]), array.shape)})
    for slot in plan.slots(Domain.MASK):
        search.replace({slot: np.ones_like(slot.of(search.best))})
    for slot in plan.slots(*DYADIC):
        for value in DYADIC[plan.domains[slot]]:
            if search.replace({slot: np.full(slot.of(search.best).shape, value)}):
                break


def _merge_classes(search: Search, slots: list[Slot]) -> None:
    """Class ids renumbered in the order in which they come; one for all, or fewer of them.

    Where there are several arrays of them, they may name the same classes, and stay as they are but for the names.
    """
    search.replace({slot: _renumbered(slot.of(search.best)) for slot in slots})
    if len(slots) != 1:
        return
    array = slots[0].of(search.best)
    if not search.replace({slots[0]: np.zeros_like(array)}):
        for number in sorted({int(number) for number in array.reshape(-1)}, reverse=True):
            merged = slots[0].of(search.best)
            search.replace({slots[0]: np.where(merged == number, merged.reshape(-1)[0], merged)})
        search.replace({slots[0]: _renumbered(slots[0].of(search.best))})


def _renumbered(array: Array) -> Array:
    order = {number: place for place, number in enumerate(dict.fromkeys(array.reshape(-1).tolist()))}
    return np.asarray([order[number] for number in array.reshape(-1).tolist()], np.int64).reshape(array.shape)


def shorten_numbers(search: Search, plan: Layout) -> None:
    """Real entries: all together, then those that share a value, then one by one."""
    slots = plan.slots(*NUMBERS)
    whole: list[Change] = [_zero, _minus_least, _minus_most, _whole, *map(_digits, (1, 2, 3))]
    for group in ([slots] if len(slots) > 1 else []) + [[slot] for slot in slots]:
        for change in whole:
            search.replace(
                {slot: _finite(change, _float(search, slot), plan.domains[slot]) for slot in group}
            )
    for values in (_shared(search, slots), _single(search, slots)):
        for members in values:
            _shorten(search, members, plan)


def shorten_distributions(search: Search, plan: Layout) -> None:
    """Distributions: few decimals with the likeliest class taking the rest; then entry by entry."""
    slots = plan.slots(*DISTRIBUTIONS)
    for group in ([slots] if len(slots) > 1 else []) + [[slot] for slot in slots]:
        for change in (_one_hot, _even, *(_digits(d) for d in (1, 2, 3))):
            arrays = {slot: _balanced(change, _float(search, slot), plan.domains[slot]) for slot in group}
            search.replace({slot: array for slot, array in arrays.items() if array is not None})
    for members in _single(search, slots):
        _shorten(search, members, plan)


Members = list[tuple[Slot, tuple[int, ...]]]


def _shorten(search: Search, members: Members, plan: Layout) -> None:
    """Entries that share a value: 0, ±1, then few digits, then as close to 1 as still fails."""
    slot, place = members[0]
    value, domain = float(slot.of(search.best)[place]), plan.domains[slot]
    if value == 0:
        return

    def works(number: float) -> bool:
        arrays = _set(search, members, number, plan)
        return arrays is not None and search.replace(arrays)

    chance = domain == Domain.PROBABILITY
    simple: tuple[float, ...] = (0.0, 0.5, 0.1) if chance else (0.0, 1.0, -1.0)
    if domain == Domain.POSITIVE:
        simple = (1.0,)
    if domain == Domain.LOG_PROBABILITY:
        simple = (-np.inf, -1.0)
    if value in simple[1:] and not chance:
        simple = simple[: simple.index(value)]
    if any(works(number) for number in simple) or not math.isfinite(value) or abs(value) == 1:
        return
    for digits in (1, 2, 3) if _length(value, search.best.dtype) > 2 else ():
        if any(works(number) for number in _near(value, digits)):
            break
    value = float(slot.of(search.best)[place])
    if value != 0 and _length(value, search.best.dtype) <= 3:
        _approach(value, 0.1 if chance else 1.0, works)


def _approach(value: float, anchor: float, works: Callable[[float], bool]) -> None:
    """Bisects numbers of one digit between the anchor, which works not, and the value, which does.

    Where that ends above 10, one digit more: a failure from 27.7 on ends as 28 and not as 30.
    """
    sign = math.copysign(1.0, value)
    low, high = _index(anchor), _index(abs(value))
    top = _short(high)
    while abs(high - low) > 1:
        middle = (low + high) // 2
        if works(sign * _short(middle)):
            high, top = middle, _short(middle)
        else:
            low = middle
    base = _short(low)
    if top > 10 and top > base:
        below, above = 0, 10
        while above - below > 1:
            middle = (below + above) // 2
            if works(sign * float(f"{base + (top - base) * middle / 10:.2g}")):
                above = middle
            else:
                below = middle


def _index(number: float) -> int:
    """The place of a positive number among those of one digit: 1, 2, …, 9, 10, 20, … from 0 on."""
    digit, exponent = f"{number:.0e}".split("e")
    return 9 * int(exponent) + int(digit) - 1


def _short(index: int) -> float:
    return float(f"{index % 9 + 1}e{index // 9}")


def _near(value: float, digits: int) -> Iterator[float]:
    """The nearest number of so many digits, and the two beside it."""
    nearest = float(f"{value:.{digits - 1}e}")
    yield nearest
    with np.errstate(all="ignore"):
        step = 10.0 ** (math.floor(math.log10(abs(value))) - digits + 1)
    for other in (nearest + step, nearest - step):
        short = float(f"{other:.{digits - 1}e}")
        if math.isfinite(short) and short * value > 0:
            yield short


def _length(value: float, dtype: str) -> int:
    """How many digits tell the number from its neighbours in the dtype."""
    for digits in range(1, 17):
        if float(to_dtype(np.asarray(float(f"{value:.{digits - 1}e}")), dtype)) == value:
            return digits
    return 17


def _set(search: Search, members: Members, number: float, plan: Layout) -> dict[Slot, Array] | None:
    """The arrays with the members at a number, distributions balanced; None where that cannot be."""
    arrays: dict[Slot, Array] = {}
    for slot, place in members:
        array = arrays.setdefault(slot, _float(search, slot).copy())
        array[place] = number
        domain = plan.domains[slot]
        if domain in DISTRIBUTIONS:
            line = array[place[:-1]]
            others = np.where(np.arange(len(line)) == place[-1], -np.inf, line)
            if len(line) < 2 or not balance(line, domain, int(others.argmax())):
                return None
        elif number < 0 and domain in (Domain.POSITIVE, Domain.NONNEGATIVE):
            return None
    return arrays


def _shared(search: Search, slots: list[Slot]) -> Iterator[Members]:
    """Entries that stand at several places, the largest value first."""
    places: dict[float, Members] = {}
    for members in _single(search, slots):
        slot, place = members[0]
        places.setdefault(float(slot.of(search.best)[place]), []).extend(members)
    yield from (places[v] for v in sorted(places, key=abs, reverse=True) if len(places[v]) > 1)


def _single(search: Search, slots: list[Slot]) -> Iterator[Members]:
    for slot in slots:
        array = slot.of(search.best)
        if array.size <= LONGEST:
            yield from ([(slot, place)] for place in _places(array) if not np.isnan(float(array[place])))


def _places(array: Array) -> list[tuple[int, ...]]:
    return list(np.ndindex(array.shape)) if array.size <= LONGEST else []


def _put(array: Array, place: tuple[int, ...], value: int) -> Array:
    changed = array.copy()
    changed[place] = value
    return changed


def _float(search: Search, slot: Slot) -> Array:
    return np.asarray(slot.of(search.best).astype(np.float64))


def _finite(change: Callable[[Array], Array], array: Array, domain: Domain) -> Array:
    """The change at the finite entries; positive ones stay positive."""
    finite = np.isfinite(array)
    filled = np.where(finite, array, 0.0)
    with np.errstate(all="ignore"):
        changed = change(filled)
    changed = np.where(finite & np.isfinite(changed), changed, array)
    if domain == Domain.POSITIVE:
        return np.asarray(np.where(changed > 0, changed, 1.0))
    return np.asarray(np.maximum(changed, 0.0)) if domain == Domain.NONNEGATIVE else changed


def _balanced(change: Callable[[Array], Array], array: Array, domain: Domain) -> Array | None:
    """The change, with the likeliest class of each row taking the rest; None where nothing is left for it."""
    with np.errstate(all="ignore"):
        plain = array if domain == Domain.PROBABILITY else np.exp(array)
        changed = np.asarray(change(plain) if change in (_one_hot, _even) else change(array))
        if change in (_one_hot, _even):
            return changed if domain == Domain.PROBABILITY else np.asarray(np.log(changed))
    lines, before = changed.reshape(-1, changed.shape[-1]), array.reshape(-1, array.shape[-1])
    for line, old in zip(lines, before, strict=True):
        if np.isnan(old).any() or not balance(line, domain, int(old.argmax())):
            return None
    return changed


def _one_hot(array: Array) -> Array:
    return np.asarray(np.arange(array.shape[-1]) == array.argmax(axis=-1)[..., None], np.float64)


def _even(array: Array) -> Array:
    return np.full(array.shape, 1.0 / array.shape[-1])


def _zero(array: Array) -> Array:
    return np.zeros_like(array)


def _minus_least(array: Array) -> Array:
    return _minus(array, array.min(axis=-1, keepdims=True)) if array.ndim > 1 else array


def _minus_most(array: Array) -> Array:
    return _minus(array, array.max(axis=-1, keepdims=True)) if array.ndim > 1 else array


def _minus(array: Array, offset: Array) -> Array:
    """Takes the offset off the rows that have no 0 yet."""
    return np.asarray(np.where((array == 0).any(axis=-1, keepdims=True), array, array - offset))


def _whole(array: Array) -> Array:
    return np.asarray(np.rint(array))


def _digits(count: int) -> Callable[[Array], Array]:
    def change(array: Array) -> Array:
        return np.asarray([float(f"{v:.{count - 1}e}") for v in array.reshape(-1)]).reshape(array.shape)

    return change
