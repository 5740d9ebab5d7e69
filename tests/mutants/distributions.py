"""Broken versions of js_divergence, z_loss and distillation, one mistake each.

CAUGHT_BY names for each the checks that must fail on it, KINDS the kinds of mistake that its diagnosis may tell.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lossproof import implements

CAUGHT_BY = {
    "divergence_of_one_side": ("accuracy", "law:symmetric"),
    "half_forgotten": ("accuracy", "law:at_most_log_two"),
    "root_of_the_divergence": ("accuracy", "law:mean_of_two_divergences"),
    "bits_for_nats": ("accuracy", "law:log_two_on_disjoint_supports"),
    "zero_times_log_zero": ("accuracy", "finiteness", "law:zeros_add_nothing"),
    "epsilon_in_both_logarithms": ("accuracy",),
    "mean_that_underflows": ("law:log_two_on_disjoint_supports",),
    "geometric_mean": ("accuracy",),
    "logarithm_of_the_mean_detached_wrongly": ("gradient", "law:gradient_is_half_log_ratio"),
    "cotangent_ignored": ("gradient",),
    "mean_over_the_classes": ("accuracy",),
    "default_for_zero": ("accuracy", "law:off_at_zero"),
    "square_forgotten": ("accuracy", "law:nonnegative"),
    "logarithm_without_a_shift": ("accuracy", "finiteness"),
    "one_factor_detached": ("gradient", "law:gradient"),
    "coefficient_squared": ("accuracy", "law:coefficient_multiplies"),
    "shifted_to_a_maximum_of_zero": ("accuracy", "law:shift_moves"),
    "two_forgotten": ("gradient", "law:gradient"),
    "student_with_itself": ("accuracy", "law:temperature_one_is_kl_from_logits"),
    "temperature_squared_forgotten": ("accuracy", "law:gradient"),
    "student_and_teacher_exchanged": ("accuracy", "law:infinite_where_impossible"),
    "temperature_on_the_student_alone": ("accuracy", "law:zero_at_equal_up_to_shift"),
    "multiplied_by_the_temperature": ("accuracy",),
    "epsilon_in_the_logarithm": ("accuracy", "gradient"),
    "entropy_of_the_teacher_left_out": ("accuracy", "law:zero_at_equal_up_to_shift"),
    "log_targets_times_zero": ("accuracy", "finiteness", "law:masked_class_changes_nothing"),
    "divided_by_the_classes": ("accuracy", "law:temperature_one_is_kl_from_logits"),
    "temperature_forgotten_in_the_gradient": ("gradient", "law:gradient"),
}

KINDS = {
    "divergence_of_one_side": ("another formula",),
    "half_forgotten": ("constant factor",),
    "root_of_the_divergence": ("another power",),
    "bits_for_nats": ("constant factor",),
    "zero_times_log_zero": ("nan from 0*inf",),
    "epsilon_in_both_logarithms": ("epsilon added",),
    "mean_that_underflows": ("underflows",),
    "geometric_mean": ("another formula",),
    "logarithm_of_the_mean_detached_wrongly": ("detached factor",),
    "cotangent_ignored": ("ignores cotangent",),
    "mean_over_the_classes": ("constant factor",),
    "default_for_zero": ("another convention",),
    "square_forgotten": ("another power", "another formula"),
    "logarithm_without_a_shift": ("overflows", "underflows"),
    "one_factor_detached": ("constant factor", "detached factor"),
    "coefficient_squared": ("parameter misused", "constant factor"),
    "shifted_to_a_maximum_of_zero": ("another formula",),
    "two_forgotten": ("constant factor",),
    "student_with_itself": ("ignores an input",),
    "temperature_squared_forgotten": ("constant factor",),
    "student_and_teacher_exchanged": ("swapped arguments",),
    "temperature_on_the_student_alone": ("another formula",),
    "multiplied_by_the_temperature": ("another formula", "parameter misused"),
    "epsilon_in_the_logarithm": ("saturates", "epsilon added"),
    "entropy_of_the_teacher_left_out": ("another formula",),
    "log_targets_times_zero": ("nan from 0*inf",),
    "divided_by_the_classes": ("constant factor",),
    "temperature_forgotten_in_the_gradient": ("constant factor",),
}

NOT_TOLD = (
    "epsilon_in_both_logarithms",
    "mean_that_underflows",
    "logarithm_of_the_mean_detached_wrongly",
    "epsilon_in_the_logarithm",
)

Array = np.ndarray[Any, np.dtype[Any]]
numpy = functools.partial(implements, framework="numpy", dtypes=["float32"])
pytorch = functools.partial(implements, framework="torch", dtypes=["float32"])


# ---- js_divergence


def _kl(p: Tensor, q: Tensor) -> Tensor:
    live = p > 0
    one = torch.ones_like(p)
    return (p * (torch.where(live, p, one).log() - torch.where(live, q, one).log())).sum(-1)


def _js(p: Tensor, q: Tensor) -> Tensor:
    m = (p + q) / 2
    return (_kl(p, m) + _kl(q, m)) / 2


@pytorch("js_divergence")
def divergence_of_one_side(p: Tensor, q: Tensor) -> Tensor:
    return _kl(p, (p + q) / 2)


@pytorch("js_divergence")
def half_forgotten(p: Tensor, q: Tensor) -> Tensor:
    return 2 * _js(p, q)


@numpy("js_divergence")
def root_of_the_divergence(p: Array, q: Array) -> Array:
    """The distance, which is the root of the divergence; a rounded 0 below 0 becomes nan too."""
    with np.errstate(all="ignore"):
        return np.sqrt(_js(torch.from_numpy(p), torch.from_numpy(q)).numpy())


@pytorch("js_divergence")
def bits_for_nats(p: Tensor, q: Tensor) -> Tensor:
    return _js(p, q) / np.log(2)


@pytorch("js_divergence")
def zero_times_log_zero(p: Tensor, q: Tensor) -> Tensor:
    m = (p + q) / 2
    return (p * (p / m).log() + q * (q / m).log()).sum(-1) / 2


@pytorch("js_divergence")
def epsilon_in_both_logarithms(p: Tensor, q: Tensor) -> Tensor:
    m = (p + q) / 2
    a, b = ((p + 1e-5) / (m + 1e-5)).log(), ((q + 1e-5) / (m + 1e-5)).log()
    return (p * a + q * b).sum(-1) / 2


@numpy("js_divergence")
def mean_that_underflows(p: Array, q: Array) -> Array:
    """Public: scipy/scipy#20779; half of the smallest number is 0, and p / 0 is inf."""
    m = p / np.float32(2) + q / np.float32(2)
    with np.errstate(all="ignore"):
        a = np.where(p > 0, p * np.log(np.where(p > 0, p / m, 1)), 0)
        b = np.where(q > 0, q * np.log(np.where(q > 0, q / m, 1)), 0)
    return (a + b).sum(axis=-1, dtype=p.dtype) / np.float32(2)


@pytorch("js_divergence")
def geometric_mean(p: Tensor, q: Tensor) -> Tensor:
    m = (p * q).sqrt()
    return (_kl(p, m) + _kl(q, m)) / 2


@pytorch("js_divergence")
def logarithm_of_the_mean_detached_wrongly(p: Tensor, q: Tensor) -> Tensor:
    """q in the mean has no derivative, and the constants that it would have cancelled stay."""
    m = (p + q.detach()) / 2
    return (_kl(p, m) + _kl(q, m)) / 2


class _IgnoresItsCotangent(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, p: Tensor, q: Tensor) -> Tensor:
        ctx.save_for_backward(p, q)
        return _js(p, q)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[None, Tensor]:
        p, q = ctx.saved_tensors
        return None, torch.where(q > 0, (2 * q / (p + q)).log() / 2, 0)


@pytorch("js_divergence")
def cotangent_ignored(p: Tensor, q: Tensor) -> Tensor:
    return _IgnoresItsCotangent.apply(p, q)


@pytorch("js_divergence")
def mean_over_the_classes(p: Tensor, q: Tensor) -> Tensor:
    return _js(p, q) / p.shape[-1]


# ---- z_loss


@pytorch("z_loss")
def default_for_zero(logits: Tensor, *, coefficient: float = 1e-4) -> Tensor:
    """Public: allenai/OLMo-core#702; 0 counts as not given."""
    return (coefficient or 1e-4) * logits.logsumexp(-1).square()


@pytorch("z_loss")
def square_forgotten(logits: Tensor, *, coefficient: float = 1e-4) -> Tensor:
    return coefficient * logits.logsumexp(-1)


@pytorch("z_loss")
def logarithm_without_a_shift(logits: Tensor, *, coefficient: float = 1e-4) -> Tensor:
    return coefficient * logits.exp().sum(-1).log().square()


@pytorch("z_loss")
def one_factor_detached(logits: Tensor, *, coefficient: float = 1e-4) -> Tensor:
    log_total = logits.logsumexp(-1)
    return coefficient * log_total * log_total.detach()


@pytorch("z_loss")
def coefficient_squared(logits: Tensor, *, coefficient: float = 1e-4) -> Tensor:
    return (coefficient * logits.logsumexp(-1)).square()


@pytorch("z_loss")
def shifted_to_a_maximum_of_zero(logits: Tensor, *, coefficient: float = 1e-4) -> Tensor:
    """The maximum, subtracted for stability, is never added back."""
    return coefficient * (logits - logits.amax(-1, keepdim=True)).logsumexp(-1).square()


def _without_two(logits: Array, *, coefficient: float = 1e-4) -> Array:
    z = torch.from_numpy(logits)
    return (coefficient * z.logsumexp(-1, keepdim=True) * z.softmax(-1)).numpy()


@numpy("z_loss", gradient=_without_two)
def two_forgotten(logits: Array, *, coefficient: float = 1e-4) -> Array:
    return (coefficient * torch.from_numpy(logits).logsumexp(-1).square()).numpy()


# ---- distillation


def _distil(student: Tensor, teacher: Tensor) -> Tensor:
    """KL(softmax(teacher) ‖ softmax(student)); a class that the teacher masks adds nothing."""
    shut = teacher == -torch.inf
    log_p = teacher.log_softmax(-1).masked_fill(shut, 0)
    return (teacher.softmax(-1) * (log_p - student.log_softmax(-1).masked_fill(shut, 0))).sum(-1)


@pytorch("distillation")
def student_with_itself(student: Tensor, teacher: Tensor, *, temperature: float = 2.0) -> Tensor:
    """Public: labmlai/annotated_deep_learning_paper_implementations#66; the teacher is never used."""
    return temperature**2 * _distil(student / temperature, student.detach() / temperature)


@pytorch("distillation")
def temperature_squared_forgotten(student: Tensor, teacher: Tensor, *, temperature: float = 2.0) -> Tensor:
    return _distil(student / temperature, teacher / temperature)


@pytorch("distillation")
def student_and_teacher_exchanged(student: Tensor, teacher: Tensor, *, temperature: float = 2.0) -> Tensor:
    return temperature**2 * _distil(teacher / temperature, student / temperature)


@pytorch("distillation")
def temperature_on_the_student_alone(student: Tensor, teacher: Tensor, *, temperature: float = 2.0) -> Tensor:
    return temperature**2 * _distil(student / temperature, teacher)


@pytorch("distillation")
def multiplied_by_the_temperature(student: Tensor, teacher: Tensor, *, temperature: float = 2.0) -> Tensor:
    return temperature**2 * _distil(student * temperature, teacher * temperature)


@pytorch("distillation")
def epsilon_in_the_logarithm(student: Tensor, teacher: Tensor, *, temperature: float = 2.0) -> Tensor:
    p, q = (teacher / temperature).softmax(-1), (student / temperature).softmax(-1)
    return temperature**2 * (p * ((p + 1e-8).log() - (q + 1e-8).log())).sum(-1)


@pytorch("distillation")
def entropy_of_the_teacher_left_out(student: Tensor, teacher: Tensor, *, temperature: float = 2.0) -> Tensor:
    p = (teacher / temperature).softmax(-1)
    log_q = (student / temperature).log_softmax(-1).masked_fill(p == 0, 0)
    return -(temperature**2) * (p * log_q).sum(-1)


@pytorch("distillation")
def log_targets_times_zero(student: Tensor, teacher: Tensor, *, temperature: float = 2.0) -> Tensor:
    """exp(t) (t − x) is 0 · inf at a class that the teacher masks."""
    log_p, log_q = (teacher / temperature).log_softmax(-1), (student / temperature).log_softmax(-1)
    return temperature**2 * F.kl_div(log_q, log_p, reduction="none", log_target=True).sum(-1)


@pytorch("distillation")
def divided_by_the_classes(student: Tensor, teacher: Tensor, *, temperature: float = 2.0) -> Tensor:
    """What reduction="mean" of F.kl_div does."""
    return temperature**2 * _distil(student / temperature, teacher / temperature) / student.shape[-1]


def _difference(student: Array, teacher: Array, *, temperature: float = 2.0) -> Array:
    s, t = torch.from_numpy(student) / temperature, torch.from_numpy(teacher) / temperature
    return (s.softmax(-1) - t.softmax(-1)).numpy()


@numpy("distillation", gradient=_difference)
def temperature_forgotten_in_the_gradient(
    student: Array, teacher: Array, *, temperature: float = 2.0
) -> Array:
    s, t = torch.from_numpy(student) / temperature, torch.from_numpy(teacher) / temperature
    return (temperature**2 * _distil(s, t)).numpy()
