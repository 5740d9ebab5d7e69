"""What the losses of embeddings share: directions, and the similarities of a batch with itself.

Directions by the largest coordinate first, so that no square leaves the exponent range, and with no epsilon: the
direction of a vector of length 1e-20 is as good as any other.
"""

from __future__ import annotations

from array_api_compat import array_namespace, device

from .common import Array, constant, is_class, maximum


def directions(x: Array) -> tuple[Array, Array]:
    """x / ‖x‖ and ‖x‖ [N, 1]; nan for a zero vector, which has no direction."""
    xp = array_namespace(x)
    largest = constant(xp.max(xp.abs(x), axis=-1, keepdims=True))
    y = x / largest
    length = xp.sqrt(xp.sum(y * y, axis=-1, keepdims=True))
    return y / length, largest * length


def across(g: Array, direction: Array, length: Array) -> Array:
    """The derivative in a vector from that in its direction: what lies along the vector has no influence."""
    xp = array_namespace(g)
    return (g - direction * xp.sum(g * direction, axis=-1, keepdims=True)) / length


def transposed(x: Array) -> Array:
    return array_namespace(x).matrix_transpose(x)


def places(x: Array) -> Array:
    """0, 1, … for the rows of x."""
    return array_namespace(x).arange(x.shape[0], device=device(x))


def over(similarities: Array, temperature: float) -> Array:
    """(s − max s)/τ, row by row."""
    xp = array_namespace(similarities)
    return (similarities - maximum(similarities, xp.argmax(similarities, axis=-1))) / temperature


def without(places: Array, similarities: Array) -> Array:
    """Similarities [M, M] with −inf at one place [M] of each row."""
    xp = array_namespace(similarities)
    return xp.where(is_class(places, similarities), xp.full_like(similarities, -xp.inf), similarities)
