"""Where a mistake sets in that ordinary inputs do not show: at a magnitude, or at special entries."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from lossproof.audit.results import Diagnosis
from lossproof.diagnosis.samples import Facet, Sample, wide
from lossproof.floats import FORMATS, Format
from lossproof.inputs.case import Array, Case
from lossproof.oracle.unread import unread
from lossproof.spec.model import Domain, Spec

HALVINGS = 14
"""Steps of a bisection, on a logarithmic scale."""

GRAIN = 64.0
"""Roundoffs up to which a number that results stay at is that of a rounding."""

GENTLE = 4.0
"""A magnitude of real inputs at which nothing overflows and little is rounded away."""

Ray = Callable[[float], Case]
"""From 0 (gentle) to 1 (the failing case) and beyond."""


@dataclass(frozen=True)
class Spot:
    """The worst result of a failing case: its name ("value", or the input whose gradient it is) and its place."""

    name: str
    place: tuple[int, ...]

    def got(self, sample: Sample) -> float:
        return float(sample.got[self.name][self.place])

    def truth(self, sample: Sample) -> float:
        return float(sample.truth[self.name].middle[self.place])

    def attainable(self, sample: Sample) -> float:
        return float(sample.truth[self.name].attainable[self.place])

    def wrong(self, sample: Sample | None) -> bool:
        return sample is None or not sample.fits or bool(sample.wrong(self.name)[self.place])


def spot_of(sample: Sample) -> Spot | None:
    """A finite wrong result before one that is nan or inf, the farthest from its truth."""
    best: tuple[float, Spot] | None = None
    for name, got in sample.got.items():
        wrong = sample.wrong(name)
        truth = sample.truth[name]
        for index in np.argwhere(wrong)[:64]:
            place = tuple(int(i) for i in index)
            with np.errstate(all="ignore"):
                off = abs(float(got[place]) - float(truth.middle[place])) / max(
                    float(truth.attainable[place]), 1e-320
                )
            rank = off if math.isfinite(off) else -1.0
            if best is None or rank > best[0]:
                best = rank, Spot(name, place)
    return None if best is None else best[1]


def at_extremes(facet: Facet, failing: Sample) -> Diagnosis | None:
    """The mistake of a case that ordinary inputs do not show."""
    spot = spot_of(failing)
    if spot is None:
        return None
    special = _special(facet, failing, spot)
    if special is not None:
        return special
    for ray, what in _rays(facet, failing.case):
        found = _along(facet, failing, spot, ray, what)
        if found is not None:
            return found
    return None


# ---- special entries


def _special(facet: Facet, failing: Sample, spot: Spot) -> Diagnosis | None:
    """Entries at −inf, zero or alike, with which the mistake goes, however gentle the others are."""
    spec, case = facet.cell.spec, failing.case
    gentle = _gentle(spec, case)
    got = spot.got(failing)
    infinite = not math.isfinite(got)
    where = "the value" if spot.name == "value" else f"the gradient in {spot.name}"
    shown = f"{where} at {list(spot.place)} is {got:.6g} where the truth is {spot.truth(failing):.6g}"
    bases = [gentle, case]
    for base in bases:
        if not _fails(facet, base, spot):
            continue
        for change, kind, why in _without_special(spec, base, spot):
            sample = facet.sample(change)
            if sample is None or not sample.fits or spot.wrong(sample):
                continue
            if not infinite and not math.isfinite(spot.truth(failing)):
                continue
            if not infinite and base is case and kind != "masked":
                continue
            if kind == "masked" and not infinite:
                return Diagnosis("masked entries leak", f"{shown}; it is right without {why}")
            if kind == "masked":
                return Diagnosis("nan from 0*inf", f"{shown}; it is right with a finite number for {why}")
            if kind == "unread":
                return Diagnosis("masked rows leak", f"{shown}; it is right when {why} hold 0")
            if kind == "empty" and infinite:
                return Diagnosis("divides by zero", f"{shown}; it is right where {why}")
            if infinite:
                return Diagnosis("nan from 0*inf", f"{shown}; it is right when {why}")
    return None


def _fails(facet: Facet, case: Case, spot: Spot) -> bool:
    sample = facet.sample(case)
    return sample is not None and sample.fits and spot.wrong(sample)


def _without_special(spec: Spec, case: Case, spot: Spot) -> Iterator[tuple[Case, str, str]]:
    inputs = case.inputs
    for name, declared in spec.inputs.items():
        array = inputs[name]
        hidden = unread(spec, name, inputs, case.parameters) if declared.is_real else None
        if hidden is not None and hidden.any() and not np.isfinite(wide(array)[hidden]).all():
            yield (
                _put(case, {name: np.where(hidden, 0, array).astype(array.dtype)}),
                "unread",
                f"unread entries of {name}",
            )
    masked = {n: a for n, a in inputs.items() if spec.inputs[n].is_real and (wide(a) == -np.inf).any()}
    changes: dict[str, Array] = {}
    for name, array in masked.items():
        finite = wide(array)[np.isfinite(wide(array))]
        low = float(finite.min(initial=0.0)) - 3
        changes[name] = np.where(wide(array) == -np.inf, low, array).astype(array.dtype)
        yield _put(case, {name: changes[name]}), "masked", f"−inf in {name}"
    if len(changes) > 1:
        yield _put(case, changes), "masked", "−inf in " + " and ".join(changes)
    zeros: dict[str, Array] = {}
    for name, declared in spec.inputs.items():
        if declared.domain is Domain.PROBABILITY and (inputs[name] == 0).any():
            some = np.where(inputs[name] == 0, 0.01, wide(inputs[name]))
            zeros[name] = (some / some.sum(axis=-1, keepdims=True)).astype(inputs[name].dtype)
            yield _put(case, {name: zeros[name]}), "zeros", f"{name} holds 0.01 for its zeros"
    if len(zeros) > 1:
        yield _put(case, zeros), "zeros", " and ".join(zeros) + " hold 0.01 for their zeros"
    for name, declared in spec.inputs.items():
        if declared.domain is Domain.MASK and not inputs[name].all():
            yield _put(case, {name: np.ones_like(inputs[name])}), "empty", f"{name} keeps every entry"
        if declared.domain is Domain.CLASS_INDEX and (inputs[name] < 0).any():
            yield (
                _put(case, {name: np.where(inputs[name] < 0, 0, inputs[name])}),
                "empty",
                f"{name} keeps every row",
            )
        if declared.domain is Domain.CLASS_ID:
            yield (
                _put(case, {name: np.arange(inputs[name].size).reshape(inputs[name].shape) // 2}),
                "empty",
                "each class has two members",
            )
    moved: dict[str, Array] = {}
    for place, (name, declared) in enumerate(spec.inputs.items()):
        array = inputs[name]
        if declared.domain in (Domain.REAL, Domain.EXTENDED_REAL, Domain.EMBEDDING) and array.ndim:
            wave = 0.11 * np.cos(np.arange(1, array.size + 1) * (1.7 + place)).reshape(array.shape)
            scale = max(1.0, float(np.abs(wide(array)[np.isfinite(wide(array))]).max(initial=0.0)) / 4)
            moved[name] = (wide(array) + wave * min(scale, 4.0)).astype(array.dtype)
    for name, array in moved.items():
        kind = "zero vectors" if not wide(inputs[name]).any(axis=-1).all() else "equal entries"
        yield _put(case, {name: array}), "ties", f"{name} is moved a little away from {kind}"
    if len(moved) > 1:
        yield _put(case, moved), "ties", " and ".join(moved) + " are moved a little apart"


def _put(case: Case, changes: dict[str, Array]) -> Case:
    return replace(case, inputs={**case.inputs, **changes})


# ---- magnitudes


SCALED = (Domain.REAL, Domain.EXTENDED_REAL, Domain.EMBEDDING, Domain.LOG_PROBABILITY)


def _gentle(spec: Spec, case: Case) -> Case:
    """The case with its real inputs scaled down together to a small size, special entries kept."""
    arrays = [wide(case.inputs[n]) for n, d in spec.inputs.items() if d.domain in SCALED]
    most = max((float(np.abs(a[np.isfinite(a)]).max(initial=0.0)) for a in arrays), default=0.0)
    return case if most <= GENTLE else _scaled(spec, case, GENTLE / most)


def _scaled(spec: Spec, case: Case, by: float, names: tuple[str, ...] | None = None) -> Case:
    changes = {}
    for name, declared in spec.inputs.items():
        if declared.domain in SCALED and (names is None or name in names):
            with np.errstate(invalid="ignore", over="ignore"):
                changes[name] = (wide(case.inputs[name]) * by).astype(case.inputs[name].dtype)
    return _put(case, changes)


def _sharpened(spec: Spec, case: Case, by: float) -> Case:
    changes = {}
    for name, declared in spec.inputs.items():
        if declared.domain is Domain.PROBABILITY:
            with np.errstate(divide="ignore", under="ignore"):
                array = wide(case.inputs[name]) ** by
            total = array.sum(axis=-1, keepdims=True)
            changes[name] = (array / np.where(total > 0, total, 1)).astype(case.inputs[name].dtype)
    return _put(case, changes)


def _opened(spec: Spec, case: Case, by: float) -> Case:
    """With a number for the zeros of distributions that nears 0 as `by` grows."""
    least = -math.log(FORMATS[case.dtype].smallest_normal)
    changes = {}
    for name, declared in spec.inputs.items():
        if declared.domain is Domain.PROBABILITY:
            array = wide(case.inputs[name])
            open_ = np.where(array == 0, math.exp(-min(700.0, least * by)), array)
            changes[name] = (open_ / open_.sum(axis=-1, keepdims=True)).astype(case.inputs[name].dtype)
    return _put(case, changes)


def _rays(facet: Facet, case: Case) -> Iterator[tuple[Callable[[float], Case], str]]:
    """Ways from a gentle case to the failing one: by a factor from small to 1, and on beyond it."""
    spec = facet.cell.spec
    domains = {declared.domain for declared in spec.inputs.values()}
    if domains & set(SCALED):
        yield (lambda by: _scaled(spec, case, by)), "scale"
    if Domain.PROBABILITY in domains:
        if any((case.inputs[n] == 0).any() for n, d in spec.inputs.items() if d.domain is Domain.PROBABILITY):
            yield (lambda by: _opened(spec, case, by)), "smallness"
        yield (lambda by: _sharpened(spec, case, by)), "sharpness"
    for name, parameter in spec.parameters.items():
        value, default = case.parameters[name], parameter.default
        if name not in facet.cell.implementation.free or parameter.kind != "number":
            continue
        # on a logarithmic scale, which has no way through 0
        if value is None or default is None or value * default <= 0 or value == default or parameter.integer:
            continue

        def ray(by: float, name: str = name, value: float = value, default: float = default) -> Case:
            # at 1 the case itself, at 0 the default
            share = min(1.0, max(0.0, 1 + math.log2(by) / 16)) if by < 1 else 1.0
            number = default * (value / default) ** share
            return replace(case, parameters={**case.parameters, name: number})

        yield ray, name


def _along(facet: Facet, failing: Sample, spot: Spot, ray: Ray, what: str) -> Diagnosis | None:
    """Bisects along a ray for where the mistake sets in, and tells its kind by what it is like beyond."""
    infinite = not math.isfinite(spot.got(failing))

    def fails(by: float) -> bool:
        sample = facet.sample(ray(by))
        if sample is None or not sample.fits or not spot.wrong(sample):
            return False
        # what is nan or inf in the end sets in where it first is so, not where digits go
        return not infinite or not math.isfinite(spot.got(sample))

    low = None
    by = 0.5
    for _ in range(16):
        if not fails(by):
            low = by
            break
        by = by / 2 if by > 2**-4 else by / 16
    if low is None:
        return None
    high = min(1.0, by * (2 if by >= 2**-4 else 16))
    for _ in range(HALVINGS):
        middle = math.sqrt(low * high)
        if fails(middle):
            high = middle
        else:
            low = middle
    good, bad = ray(low), ray(high)
    broken = facet.sample(bad)
    if broken is None:
        return None
    return _named(facet, failing, spot, ray, what, high, good, broken)


def _named(
    facet: Facet, failing: Sample, spot: Spot, ray: Ray, what: str, by: float, good: Case, broken: Sample
) -> Diagnosis | None:
    fmt = FORMATS[facet.cell.dtype]
    where = "the value" if spot.name == "value" else f"the gradient in {spot.name}"
    limits = [each for each in _limits(facet.cell.spec, good, spot, what) if each[1]]
    until = f"right up to {limits[0][0]} {limits[0][1]:.4g}" if limits else "right on gentler inputs"
    got, truth = spot.got(failing), spot.truth(failing)
    first = spot.got(broken)
    if facet.gradient and math.isnan(first):
        value = Facet(facet.cell, gradient=False).sample(broken.case)
        if value is not None and np.isfinite(value.got["value"]).all():
            return Diagnosis(
                "nan from 0*inf", f"{where} is {until}, and nan beyond, where the value is finite"
            )
    if not math.isfinite(first) and math.isfinite(spot.truth(broken)):
        for text, limit in limits:
            for kind, reason, least, most in _thresholds(fmt):
                if least <= limit <= most:
                    return Diagnosis(
                        kind, f"{where} is right up to {text} {limit:.4g} and {first:.6g} beyond: {reason}"
                    )
        return Diagnosis("out of range", f"{where} is {until} and {first:.6g} beyond")
    if math.isfinite(got) and math.isfinite(truth):
        lost = _cancelled(facet, spot, ray, by)
        if lost is not None:
            return Diagnosis("cancels", f"{where} is right up to {_biggest(limits)}; {lost}")
    steady = _constant(facet, spot, ray, failing)
    if steady is not None:
        if steady == 0 and spot.name != "value":
            return Diagnosis(
                "dead gradient", f"{where} is {until}, and 0 beyond, where the truth is {truth:.6g}"
            )
        if 0 < abs(steady) <= GRAIN * fmt.unit_roundoff:
            return None  # the grain of a difference of numbers near 1, and no limit
        if math.isfinite(steady):
            if spot.name == "value" and steady == 0 and abs(spot.truth(broken)) < fmt.smallest_normal**0.5:
                return Diagnosis("underflows", f"{where} is 0 where the truth is {truth:.3g}")
            if spot.name == "value":
                sample = facet.sample(good)
                until = until if sample is None else f"right up to {spot.truth(sample):.4g}"
                if math.isinf(truth) and sample is not None and abs(steady) < abs(spot.truth(sample)) / 2:
                    return Diagnosis(
                        "drops infinity", f"{where} is {until}, and {steady:.6g} where the truth is {truth}"
                    )
            return Diagnosis(
                "saturates", f"{where} is {until}, and stays at {steady:.6g} beyond{_epsilon(steady)}"
            )
    if not math.isfinite(got) and math.isfinite(truth):
        return Diagnosis("out of range", f"{where} is {until}, and {got:.6g} at the failing case")
    return None


def _limits(spec: Spec, case: Case, spot: Spot, what: str) -> Iterator[tuple[str, float]]:
    """Magnitudes of a case: gaps of logits, largest entries, differences, and these times or over a parameter."""
    found: list[tuple[str, float]] = []
    arrays = {}
    for name, declared in spec.inputs.items():
        if declared.domain in SCALED and case.inputs[name].ndim:
            array = wide(case.inputs[name])
            axis = declared.shape.index(spec.independent) if spec.independent in declared.shape else None
            if axis is not None and spot.place and array.shape[axis] > spot.place[0]:
                array = np.take(array, [spot.place[0]], axis)
            arrays[name] = np.where(np.isfinite(array), array, np.nan)
    with np.errstate(all="ignore"):
        for name, array in arrays.items():
            if np.isnan(array).all():
                continue
            found.append((f"{name} of", float(np.nanmax(np.abs(array)))))
            if array.ndim > 1:
                rows = array[~np.isnan(array).all(axis=-1)]
                found.append(
                    (f"a gap in {name} of", float(np.nanmax(np.nanmax(rows, -1) - np.nanmin(rows, -1))))
                )
        names = list(arrays)
        for place, one in enumerate(names):
            for two in names[place + 1 :]:
                if arrays[one].shape == arrays[two].shape and not np.isnan(arrays[one] - arrays[two]).all():
                    found.append((f"|{one} − {two}| of", float(np.nanmax(np.abs(arrays[one] - arrays[two])))))
    for name, declared in spec.inputs.items():
        if declared.domain is Domain.PROBABILITY:
            array = wide(case.inputs[name])
            least = float(array[array > 0].min(initial=1.0))
            found.append((f"−log {name} of", -math.log(least)))
    if what in spec.parameters:
        number = float(case.parameters[what])
        yield f"{what}", number
        yield f"1/{what} of", 1 / number
        yield f"2/{what} of", 2 / number
    found.sort(key=lambda each: each[0].startswith("a gap") is False)
    yield from found
    for name, parameter in spec.parameters.items():
        value = case.parameters[name]
        if parameter.kind == "number" and value and value != 1:
            for text, each in found:
                yield f"{text[:-3]} · {name} of", each * value
                yield f"{text[:-3]} / {name} of", each / value


def _thresholds(fmt: Format) -> Iterator[tuple[str, str, float, float]]:
    top = math.log(fmt.largest)
    yield "overflows", f"exp overflows at {top:.1f}, no maximum is subtracted", top - 0.9, top * 1.003
    bottom = -math.log(fmt.smallest_subnormal)
    yield "underflows", f"exp underflows to 0 at {bottom:.1f}", bottom - 1.2, bottom + 1.2
    yield (
        "overflows",
        f"its square's exponential overflows at {top / 2:.1f}",
        top / 2 * 0.997,
        top / 2 * 1.003,
    )
    root = math.sqrt(fmt.largest)
    yield "overflows", f"a square overflows at {root:.3g}", root / 4, root * 1.01
    yield "overflows", f"the largest number is {fmt.largest:.3g}", fmt.largest / 16, fmt.largest * 1.01


def _constant(facet: Facet, spot: Spot, ray: Ray, failing: Sample) -> float | None:
    """The number at which results stay while the truth goes on; None where they do not."""
    for steps in ((0.96, 1.0, 1.1, 1.3), (2.0, 3.0, 4.0), (16.0, 24.0, 32.0)):
        samples = [failing if by == 1 else facet.sample(ray(by)) for by in steps]
        found = _common(spot, [s for s in samples if s is not None and s.fits])
        if found is not None:
            return found
    return None


def _common(spot: Spot, samples: list[Sample]) -> float | None:
    got = [spot.got(s) for s in samples]
    truth = [spot.truth(s) for s in samples]
    wrong = [spot.wrong(s) for s in samples]
    kept = [(g, t) for g, t, w in zip(got, truth, wrong, strict=True) if w and math.isfinite(g)]
    if len(kept) < 3:
        return None
    values = [g for g, _ in kept]
    spread = max(values) - min(values)
    truths = [t for _, t in kept]
    goes_on = any(map(math.isinf, truths)) or max(truths) - min(truths) > max(
        10 * spread, 0.01 * abs(truths[0])
    )
    if spot.name != "value":
        goes_on = goes_on or all(v == 0 for v in values)
    if spread <= 1e-3 * abs(values[0]) and goes_on:
        return values[0]
    return None


def _epsilon(steady: float) -> str:
    """What is added or clipped to, of which this is the logarithm."""
    size = abs(steady)
    if abs(size - 100) < 0.01:
        return ": a logarithm clamped at −100"
    for text, value in (
        *((f"1e-{k}", 10.0**-k) for k in range(3, 46)),
        ("float32's machine epsilon", 2.0**-23), ("float32's smallest normal number", 2.0**-126),
        ("float64's machine epsilon", 2.0**-52), ("float16's machine epsilon", 2.0**-10),
    ):  # fmt: skip
        if abs(size + math.log(value)) < 0.02 * max(1.0, size / 16):
            return f", which is −log({text})"
    return ""


SCATTER = tuple(1 + k * 0.0137 for k in range(9))
"""Steps beyond the place where a mistake sets in: roundings scatter there, what is clipped or added does not."""


def _cancelled(facet: Facet, spot: Spot, ray: Ray, onset: float) -> str | None:
    """Whether the errors beyond the onset are those of rounding something larger than the result."""
    fmt = FORMATS[facet.cell.dtype]
    signed, sizes, truths, got = [], [], [], []
    for by in SCATTER:
        sample = facet.sample(ray(onset * by))
        if sample is None or not sample.fits:
            return None
        signed.append(spot.got(sample) - spot.truth(sample))
        got.append(spot.got(sample))
        truths.append(abs(spot.truth(sample)))
        sizes.append(_largest(facet.cell.spec, sample.case, spot))
    errors = np.array(signed)
    if not np.isfinite(errors).all() or not errors.any():
        return None
    steps = np.array(SCATTER)
    line = np.polyval(np.polyfit(steps, errors, 2), steps)
    if np.linalg.norm(errors - line) < 0.3 * np.linalg.norm(errors) and not _coarse(
        np.array(got), np.array(sizes), fmt
    ):
        return None
    for text, power in (("the inputs", 1), ("their squares", 2), ("1", 0)):
        large = np.array(sizes) ** power
        if (np.abs(errors) <= 16 * fmt.unit_roundoff * large).all() and large[0] > 8 * truths[0]:
            return (
                f"from there the errors, such as {abs(errors).max():.2g}, scatter like roundings at the size of {text} "
                f"({large[0]:.3g}), where the result is {truths[0]:.3g}"
            )
    return None


def _coarse(got: Array, sizes: Array, fmt: Format) -> bool:
    """Whether results are multiples of what numbers as large as the inputs are rounded to, and not of 0 alone."""
    unit = 2.0 ** (np.floor(np.log2(np.maximum(sizes, fmt.smallest_normal))) + 1 - fmt.precision) / 4
    fine = np.abs(got) < sizes / 32
    return bool(fine.all() and got.any() and (got / unit == np.round(got / unit)).all())


def _biggest(limits: list[tuple[str, float]]) -> str:
    text, value = next(
        (each for each in limits if not each[0].startswith("a gap")),
        limits[0] if limits else ("inputs of", math.nan),
    )
    return f"{text} {value:.4g}"


def _largest(spec: Spec, case: Case, spot: Spot) -> float:
    found = 0.0
    for name, declared in spec.inputs.items():
        if declared.domain in SCALED:
            array = wide(case.inputs[name])
            axis = declared.shape.index(spec.independent) if spec.independent in declared.shape else None
            if axis is not None and spot.place and array.shape[axis] > spot.place[0]:
                array = np.take(array, [spot.place[0]], axis)
            found = max(found, float(np.abs(array[np.isfinite(array)]).max(initial=0.0)))
    return found
