"""Whether results are the truth times a factor, plus a constant, or to a power."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from lossproof.audit.results import Diagnosis
from lossproof.diagnosis.samples import ENOUGH, NEAR, Facet, Sample
from lossproof.floats import FORMATS
from lossproof.inputs.case import Array, Case
from lossproof.oracle.law import bind_dimensions
from lossproof.spec.model import Domain, Spec

NAMED = {
    "−1": -1.0, "2": 2.0, "½": 0.5, "−2": -2.0, "−½": -0.5, "4": 4.0, "¼": 0.25, "log 2": math.log(2),
    "1/log 2": 1 / math.log(2), "log 10": math.log(10), "1/log 10": 1 / math.log(10), "3": 3.0, "⅓": 1 / 3,
    "π": math.pi, "1/π": 1 / math.pi, "√2": math.sqrt(2), "1/√2": 1 / math.sqrt(2),
}  # fmt: skip


def factor(facet: Facet, samples: list[Sample]) -> Diagnosis | None:
    """Every result is the truth times one number, or times one that the case's sizes and parameters give."""
    found: list[float] = []
    fine: list[float] = []
    kept: list[Sample] = []
    where = {name for sample in samples if sample.fits for name in sample.got if sample.wrong(name).any()}
    told = 0
    for sample in samples:
        if not sample.fits:
            return None
        ratios, slacks = [], []
        for name in where:
            ratio, slack = _ratios(sample, name)
            ratios.append(ratio)
            slacks.append(slack)
        if not ratios or not sum(r.size for r in ratios):
            continue
        ratio, slack = np.concatenate(ratios), np.concatenate(slacks)
        best = float(ratio[np.argmin(slack)])
        if not (np.abs(ratio - best) <= slack + slack.min()).all():
            return None
        told += ratio.size
        found.append(best)
        fine.append(float(slack.min()))
        kept.append(sample)
    if told < ENOUGH or not kept:
        return None
    what = "value" if not facet.gradient else "gradient in " + " and ".join(sorted(where))
    close = [abs(r - found[0]) <= a + fine[0] for r, a in zip(found, fine, strict=True)]
    if all(close):
        number = found[int(np.argmin(fine))]
        if facet.cell.dtype == "float64" and abs(number - 1) <= 2 * FORMATS["float32"].unit_roundoff:
            return Diagnosis(
                "low precision",
                f"the {what} is off by {number - 1:.2g} of it throughout: a constant in float32",
            )
        if abs(number) < 2.0**-40:
            return None
        if abs(number + 1) <= 4 * min(fine) + 1e-12:
            return Diagnosis("sign", f"the {what} is the truth times −1, in {told} results")
    by = _by_size(facet.cell.spec, kept, found, fine)
    if by is None and all(close):
        by = next(
            (text for text, known in NAMED.items() if abs(number - known) <= 4 * min(fine) + 1e-12), None
        )
    if by is not None:
        return Diagnosis("constant factor", f"the {what} is {by} times the truth, in {told} results")
    if all(close) and len(kept) >= 2 and told >= 2 * ENOUGH and max(fine) <= 1e-3 * abs(number):
        return Diagnosis("constant factor", f"the {what} is {number:.6g} times the truth, in {told} results")
    return None


def _ratios(sample: Sample, name: str) -> tuple[Array, Array]:
    """got/truth and how far rounding may move it, where the truth is well away from 0."""
    truth, got = sample.truth[name], sample.got[name]
    middle = truth.middle.astype(np.float64)
    usable = truth.known & np.isfinite(middle) & (np.abs(middle) > 256 * truth.attainable)
    if (truth.known & np.isfinite(middle) & ~np.isfinite(got)).any():
        return np.array([0.0, 1.0]), np.array([0.0, 0.0])
    ratio = got[usable] / middle[usable]
    slack = NEAR * truth.attainable[usable] / np.abs(middle[usable]) * np.maximum(1, np.abs(ratio))
    # where the truth is as good as 0, so must be what came out
    odd = truth.known & np.isfinite(middle) & (np.abs(middle) <= 4 * truth.attainable)
    size = float(np.abs(ratio).max(initial=1.0))
    if (np.abs(got[odd]) > 16 * NEAR * size * truth.attainable[odd]).any():
        return np.array([0.0, 1.0]), np.array([0.0, 0.0])
    return ratio, slack


def _by_size(spec: Spec, samples: list[Sample], found: list[float], fine: list[float]) -> str | None:
    """The name of a factor made of sizes, counts and parameters, that fits each batch; None where there is none."""
    if len(samples) < 2:
        return None
    quantities = [_quantities(spec, sample.case) for sample in samples]
    for name in quantities[0]:
        values = [each.get(name, math.nan) for each in quantities]
        # one number throughout says nothing about a size; it may be a parameter's
        if max(values) - min(values) < 1e-9 and not any(each in name for each in spec.parameters):
            continue
        if all(abs(r - v) <= a + 1e-9 * abs(v) for r, v, a in zip(found, values, fine, strict=True)):
            return name
    return None


def _quantities(spec: Spec, case: Case) -> dict[str, float]:
    sizes = bind_dimensions(spec, {name: array.shape for name, array in case.inputs.items()})
    found: dict[str, float] = {}
    plain: dict[str, float] = {name: float(size) for name, size in sizes.items()}
    plain |= {f"({name} − 1)": size - 1.0 for name, size in sizes.items() if size > 1}
    plain |= _kept(spec, case)
    plain |= {f"2{name}": 2.0 * size for name, size in sizes.items()}
    plain |= {f"⌈{name}/2⌉": float(-(-size // 2)) for name, size in sizes.items()}
    numbers = {
        name: float(value)
        for name, value in case.parameters.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and value not in (0, 1)
    }
    for name, value in plain.items():
        found[name] = value
        found[f"1/{name}"] = 1 / value if value else math.nan
        found[f"log {name}"] = math.log(value) if value > 0 else math.nan
        found[f"1/log {name}"] = 1 / math.log(value) if value > 1 else math.nan
    names = list(plain)
    for one in names:
        for two in names:
            if one != two and plain[two]:
                found[f"{one}/{two}"] = plain[one] / plain[two]
    for name, value in numbers.items():
        found |= {
            name: value, f"1/{name}": 1 / value, f"{name}²": value**2, f"1/{name}²": value**-2,
            f"(1 − {name})": 1 - value, f"1/(1 − {name})": 1 / (1 - value) if value != 1 else math.nan,
        }  # fmt: skip
    return found


def _kept(spec: Spec, case: Case) -> Mapping[str, float]:
    """How many labels count, and how many masked positions do."""
    found: dict[str, float] = {}
    for name, declared in spec.inputs.items():
        array = case.inputs[name]
        if declared.domain is Domain.CLASS_INDEX:
            found[f"kept {name}"] = float((array >= 0).sum())
        if declared.domain is Domain.MASK:
            later = array[..., 1:] if array.ndim > 1 else array
            found |= {f"kept {name}": float(later.sum()), f"all {name}": float(later.size)}
    return found


def constant(facet: Facet, samples: list[Sample]) -> Diagnosis | None:
    """Every value is the truth plus one number, or one that a size gives."""
    if facet.gradient:
        return None
    found, told, wrong = [], 0, 0
    for sample in samples:
        truth, got = sample.truth["value"], sample.got["value"]
        if not sample.fits:
            return None
        usable = truth.known & np.isfinite(truth.middle)
        apart = (got - truth.middle.astype(np.float64))[usable]
        slack = NEAR * truth.attainable[usable] + 16 * FORMATS[sample.case.dtype].unit_roundoff * np.abs(
            got[usable]
        )
        if not apart.size:
            continue
        middle = float(np.median(apart))
        if not (np.abs(apart - middle) <= slack + slack.min()).all():
            return None
        told += apart.size
        wrong += int(sample.wrong("value").sum())
        found.append((middle, float(slack.max()), sample))
    if told < 2 * ENOUGH or len(found) < 2 or wrong < max(ENOUGH, told / 2):
        return None
    quantities = [_quantities(facet.cell.spec, sample.case) for _, _, sample in found]
    for name in quantities[0]:
        if len({q.get(name) for q in quantities}) == 1 and name not in facet.cell.spec.parameters:
            continue
        for sign in (1, -1):
            if all(
                abs(m - sign * q.get(name, math.nan)) <= s
                for (m, s, _), q in zip(found, quantities, strict=True)
            ):
                return Diagnosis(
                    "constant added", f"the value is the truth {'+−'[sign < 0]} {name}, in {told} results"
                )
    if all(abs(m - found[0][0]) <= s + found[0][1] for m, s, _ in found):
        return Diagnosis("constant added", f"the value is the truth + {found[0][0]:.6g}, in {told} results")
    return None


def power(facet: Facet, samples: list[Sample]) -> Diagnosis | None:
    """Every value is the truth's square, its root or its size."""
    if facet.gradient:
        return None
    for text, transform in (("square", np.square), ("root", np.sqrt), ("absolute value", np.abs)):
        told = 0
        for sample in samples:
            truth, got = sample.truth["value"], sample.got["value"]
            if not sample.fits:
                return None
            with np.errstate(invalid="ignore", over="ignore"):
                middle = truth.middle.astype(np.float64)
                other = transform(middle)
                low, high = transform(middle - truth.attainable), transform(middle + truth.attainable)
                known = truth.known & np.isfinite(other)
                slack = NEAR * (
                    np.abs(high - low) + 4 * FORMATS[sample.case.dtype].unit_roundoff * np.abs(other)
                )
                if (known & ~(np.abs(got - other) <= slack)).any():
                    break
                told += int((known & sample.wrong("value")).sum())
        else:
            if told >= ENOUGH:
                return Diagnosis("another power", f"the value is the {text} of the truth, in {told} results")
    return None
