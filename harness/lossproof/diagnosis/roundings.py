"""Whether errors are roundings of a coarser format, or move smoothly with the inputs, as a formula's do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lossproof.audit.results import Diagnosis
from lossproof.diagnosis.samples import ENOUGH, Facet, Sample
from lossproof.floats import FORMATS, Format
from lossproof.inputs.case import Array, Case

STEP = 2.0**-6
"""Inputs are moved by this part of them: a roundoff of bfloat16 and more, little for a formula."""


def errors(sample: Sample) -> tuple[Array, Array]:
    """Signed errors and their size beside the truth, of the elements that can be judged."""
    signed, relative = [], []
    for name, got in sample.got.items():
        truth = sample.truth[name]
        middle = truth.middle.astype(np.float64)
        known = truth.known & np.isfinite(middle) & np.isfinite(got)
        with np.errstate(invalid="ignore", divide="ignore"):
            error = (got - truth.middle).astype(np.float64)
            signed.append(error[known])
            relative.append((error / np.abs(middle))[known & (middle != 0)])
    return np.concatenate(signed), np.concatenate(relative)


def low_precision(facet: Facet, samples: list[Sample]) -> Diagnosis | None:
    """Errors as large as a coarser format's roundings, that scatter as roundings do."""
    storage = FORMATS[facet.cell.dtype]
    if facet.cell.dtype not in ("float32", "float64") or not all(sample.fits for sample in samples):
        return None
    if any(
        (~np.isfinite(s.got[n]) & np.isfinite(s.truth[n].middle) & s.truth[n].known).any()
        for s in samples
        for n in s.got
    ):
        return None
    fmt = _of_results(samples, storage) or _format(facet, samples, storage)
    if fmt is None:
        return None
    return Diagnosis(
        "low precision",
        f"errors on ordinary inputs are those of code that computes in {_told(samples, fmt)}, and scatter so",
    )


def _told(samples: list[Sample], fmt: Format) -> str:
    """The format by name: that of the results where they are its numbers, else what the size of the errors leaves."""
    got = np.concatenate([array.ravel() for sample in samples for array in sample.got.values()])
    for name in ("bfloat16", "float16", "float32"):
        rounded = got.astype(FORMATS[name].dtype).astype(np.float64)
        if FORMATS[name].precision <= fmt.precision and np.array_equal(rounded, got, equal_nan=True):
            return name
    return {24: "float32", 11: "float16, TF32 or bfloat16", 8: "bfloat16"}[fmt.precision]


def _of_results(samples: list[Sample], storage: Format) -> Format | None:
    """The format whose numbers all results are, where the truths are not."""
    got = np.concatenate([array.ravel() for sample in samples for array in sample.got.values()])
    truth = np.concatenate([t.middle.astype(np.float64).ravel() for s in samples for t in s.truth.values()])
    wrong = np.concatenate([sample.wrong(name).ravel() for sample in samples for name in sample.got])
    for name in ("bfloat16", "float16", "float32"):
        fmt = FORMATS[name]
        if fmt.precision < storage.precision and len(set(got[wrong].tolist())) >= 2 * ENOUGH:
            exact = np.array_equal(got.astype(fmt.dtype).astype(np.float64), got, equal_nan=True)
            near = np.abs(got - truth) <= 4 * fmt.unit_roundoff * max(1.0, float(np.abs(truth).max()))
            if (
                exact
                and near.all()
                and (truth.astype(fmt.dtype).astype(np.float64) != truth)[wrong].mean() > 0.5
            ):
                return fmt
    return None


def _format(facet: Facet, samples: list[Sample], storage: Format) -> Format | None:
    """The widest format in which a working precision would explain every error, and errors are as large as that."""
    for name in ("float32", "float16", "bfloat16"):
        fmt = FORMATS[name]
        if fmt.precision >= storage.precision:
            continue
        # attainable errors are in proportion to the roundoff, but for what is rounded to the format at the end
        times = 2.0 ** (storage.precision - fmt.precision)
        shares = []
        for sample in samples:
            for each, got in sample.got.items():
                truth = sample.truth[each]
                known = truth.known & np.isfinite(truth.middle) & (truth.attainable > 0)
                with np.errstate(invalid="ignore"):
                    error = np.abs(got - truth.middle).astype(np.float64)[known]
                shares.append(error / (times * truth.attainable[known]))
        share = np.concatenate(shares)
        if share.size < ENOUGH:
            return None
        off, size = _norms(samples)
        if (share <= 2).all() and off <= 32 * fmt.unit_roundoff * size:
            if smooth(facet, samples, 4 * fmt.unit_roundoff):
                return None
            return (
                fmt
                if (share >= 2.0**-9).mean() > 0.25 and np.median(share[share > 0], axis=0) > 2.0**-9
                else None
            )
    return None


def _norms(samples: list[Sample]) -> tuple[float, float]:
    """The lengths of all errors and of all truths."""
    off, size = 0.0, 0.0
    for sample in samples:
        for name, got in sample.got.items():
            truth = sample.truth[name]
            known = truth.known & np.isfinite(truth.middle) & np.isfinite(got)
            off += float(np.square((got - truth.middle)[known].astype(np.float64)).sum())
            size += float(np.square(truth.middle[known].astype(np.float64)).sum())
    return off**0.5, size**0.5


def smooth(facet: Facet, samples: list[Sample], step: float = STEP) -> bool:
    """Whether errors change little when the inputs do: those of another formula, never of a rounding."""
    before, after = [], []
    for sample in samples[: 3 if samples[0].cotangent.size > 1 else None]:
        moved = facet.sample(_moved(facet, sample.case, step))
        if moved is None or not moved.fits:
            return False
        for name, got in sample.got.items():
            known = sample.truth[name].known & moved.truth[name].known
            with np.errstate(invalid="ignore"):
                one = (got - sample.truth[name].middle).astype(np.float64)
                two = (moved.got[name] - moved.truth[name].middle).astype(np.float64)
            kept = known & np.isfinite(one) & np.isfinite(two)
            before.append(one[kept])
            after.append(two[kept])
    one, two = np.concatenate(before), np.concatenate(after)
    if one.size < ENOUGH or not one.any():
        return False
    return bool(np.linalg.norm(one - two) <= 0.25 * np.linalg.norm(one))


def _moved(facet: Facet, case: Case, step: float) -> Case:
    inputs = dict(case.inputs)
    for name, declared in facet.cell.spec.inputs.items():
        array = inputs[name]
        if declared.is_real and array.ndim and declared.domain.value not in ("sign", "binary"):
            wave = 1 + step * np.sin(np.arange(1, array.size + 1)).reshape(array.shape)
            new = array.astype(np.float64) * wave
            if declared.domain.value == "probability":
                new = new / new.sum(axis=-1, keepdims=True)
            elif declared.domain.value == "log_probability":
                new = new - np.log(np.exp(new).sum(axis=-1, keepdims=True))
            elif declared.domain.value == "unit_interval":
                new = np.minimum(new, 1)
            inputs[name] = new.astype(array.dtype)
    return replace(case, inputs=inputs)
