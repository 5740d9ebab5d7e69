"""Reference losses in array-API code: written once, bound for NumPy, PyTorch and JAX.

Written to be copied, with their helpers in common.py and vectors.py. Three habits carry every file:

- Differences before sums. A loss of logits is built from z − max z, never from logsumexp(z) itself, so that
  a common offset of the logits cancels exactly (Blanchard, Higham & Higham, "Accurately computing the
  log-sum-exp and softmax functions", IMA J. Numer. Anal. 41, 2021).
- `where` on the argument, then the function. 0 · log 0 is kept out of the graph, because a `where` on the
  result still sends 0 · inf = nan through the branch that was not taken.
- Half formats are computed in float32 and rounded once, at the end.

NumPy has no automatic derivative, so each loss that takes a gradient comes with its closed form.
No file has the name of a loss, which stands for the function here.
"""

from __future__ import annotations

from .batch_contrastive import clip, debiased_contrastive, hard_negative_contrastive, info_nce, nt_xent
from .classification import bce_with_logits, focal, hinge, multi_margin, sigmoid_focal
from .cross_entropies import cross_entropy, label_smoothing_cross_entropy, nll, soft_cross_entropy
from .divergences import (
    distillation,
    distribution_cross_entropy,
    entropy,
    js_divergence,
    kl_divergence,
    kl_divergence_from_logits,
)
from .margins import arcface, cosface, sphereface
from .metric import contrastive, cosine_distance, triplet
from .preferences import dpo, grpo_kl
from .sequences import fused_linear_cross_entropy, sequence_cross_entropy, vocab_parallel_cross_entropy
from .softmaxes import log_softmax, logsumexp, softmax, z_loss
from .squares import mse, softmax_mse
from .supervised_contrastive import multi_similarity, sup_con
