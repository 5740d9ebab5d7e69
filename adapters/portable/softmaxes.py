"""What is made of the logits alone: log-sum-exp, softmax and its logarithm, z-loss.

Shapes: logits [N, V]; results [N], those of softmax and log-softmax [N, V].
"""

from __future__ import annotations

from .common import Array, at_least_float32, everywhere, probabilities, round_once, shift


def _logsumexp_gradient(logits: Array) -> Array:
    return round_once(probabilities(at_least_float32(logits)), logits)


@everywhere("logsumexp", gradient=_logsumexp_gradient)
def logsumexp(logits: Array) -> Array:
    """log Σ exp z → [N]; −inf where every class is masked."""
    m, _, s = shift(at_least_float32(logits))
    return round_once((m + s)[:, 0], logits)


@everywhere("softmax")
def softmax(logits: Array) -> Array:
    """exp(z − m) / Σ exp(z − m) → [N, V]."""
    return round_once(probabilities(at_least_float32(logits)), logits)


@everywhere("log_softmax")
def log_softmax(logits: Array) -> Array:
    """(z − m) − log Σ exp(z − m) → [N, V]."""
    _, d, s = shift(at_least_float32(logits))
    return round_once(d - s, logits)


def _z_loss_gradient(logits: Array, *, coefficient: float = 1e-4) -> Array:
    z = at_least_float32(logits)
    m, _, s = shift(z)
    return round_once((2 * coefficient * (m + s)) * probabilities(z), logits)


@everywhere("z_loss", gradient=_z_loss_gradient)
def z_loss(logits: Array, *, coefficient: float = 1e-4) -> Array:
    """c (log Σ exp z)² → [N] (Chowdhery et al., "PaLM", JMLR 24, 2023, section 5)."""
    m, _, s = shift(at_least_float32(logits))
    log_total = (m + s)[:, 0]
    # from the left: the square alone may overflow
    return round_once(coefficient * log_total * log_total, logits)
