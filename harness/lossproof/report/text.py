"""Numbers and texts as a person reads them: short decimals, tables of numbers, no control characters."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import numpy as np

from lossproof.floats import FORMATS, numpy_dtype

MANY = 48
"""An array with more entries than this is shown by its first entries and its shape."""

_ENCODED = re.compile(r"^-?0x[01](\.[0-9a-f]*)?p[+-]\d+$|^-?inf$|^nan$")


def clean(text: str) -> str:
    """`text` with control characters escaped (a message may hold terminal codes); tabs and newlines stay."""
    return "".join(
        character
        if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs")
        else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text
    )


def one_line(text: str) -> str:
    """`text` cleaned, on one line."""
    return " ".join(clean(text).split())


def bits(value: float | None) -> str:
    """Bits lost: `"0"`, `"3.4"`, `"231"`, `"∞"`, or `"–"` where they were not measured."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞"
    return f"{value:.0f}" if value >= 99.95 or value == 0 else f"{value:.1f}"


def decimal(value: float, dtype: str | None = None) -> str:
    """The shortest decimal that reads back as `value` in the format `dtype`.

    A value that is no number of that format (a truth) gets two digits more than the format holds.
    """
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "-0" if math.copysign(1.0, value) < 0 else "0"
    held = FORMATS.get(dtype or "float64", FORMATS["float64"])
    store = numpy_dtype(held.name).type
    most = 17 if held.precision == 53 else math.ceil(held.precision * math.log10(2)) + 2
    with np.errstate(all="ignore"):
        inside = float(store(value)) == value
        for digits in range(1, most + 1):
            written = float(f"{value:.{digits}g}")
            if written == value or (inside and float(store(written)) == value):
                break
    return repr(written).removesuffix(".0").replace(".0e", "e")


def number(entry: Any, dtype: str | None = None) -> str:
    """One entry of an encoded array, or a parameter, as a person reads it."""
    if isinstance(entry, str):
        return decimal(float.fromhex(entry), dtype) if _ENCODED.match(entry) else one_line(entry)
    if isinstance(entry, bool) or entry is None:
        return str(entry)
    if isinstance(entry, float):
        return decimal(entry)
    return one_line(str(entry))


def size(encoded: Any) -> int:
    """How many entries an encoded array holds."""
    if isinstance(encoded, list):
        return sum(size(entry) for entry in encoded)
    if isinstance(encoded, Mapping):
        return sum(size(entry) for entry in encoded.values())
    return 1


def shape(encoded: Any) -> tuple[int, ...]:
    """The shape of an encoded array, read along its first entries."""
    if not isinstance(encoded, list):
        return ()
    return (len(encoded), *(shape(encoded[0]) if encoded else ()))


def array(encoded: Any, dtype: str | None = None) -> str:
    """An encoded array in brackets: `[[0, -40], [1e-08, inf]]`; a long one is cut and says its shape."""
    if size(encoded) <= MANY:
        return _whole(encoded, dtype)
    first = _first(encoded, 6, dtype)
    dimensions = "×".join(str(extent) for extent in shape(encoded))
    return f"[{', '.join(first)}, …]" + (f" of shape {dimensions}" if dimensions else "")


def rough(encoded: Any) -> str:
    """An encoded array of errors, to two digits."""

    def rounded(entry: Any) -> Any:
        if isinstance(entry, list):
            return [rounded(part) for part in entry]
        if isinstance(entry, Mapping):
            return {key: rounded(part) for key, part in entry.items()}
        if isinstance(entry, str) and _ENCODED.match(entry):
            entry = float.fromhex(entry)
        return f"{entry:.2g}" if isinstance(entry, float) else entry

    return array(rounded(encoded))


def _whole(encoded: Any, dtype: str | None) -> str:
    if isinstance(encoded, list):
        return f"[{', '.join(_whole(entry, dtype) for entry in encoded)}]"
    if isinstance(encoded, Mapping):
        return ", ".join(f"{one_line(str(key))} = {_whole(entry, dtype)}" for key, entry in encoded.items())
    return number(encoded, dtype)


def _first(encoded: Any, count: int, dtype: str | None) -> list[str]:
    entries = list(encoded.values()) if isinstance(encoded, Mapping) else encoded
    if not isinstance(entries, list):
        return [number(entries, dtype)]
    found: list[str] = []
    for entry in entries:
        if len(found) >= count:
            break
        found += _first(entry, count - len(found), dtype)
    return found


def plural(count: int, one: str, many: str | None = None) -> str:
    """`"1 case"`, `"1,200 cases"`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """`"3.1 s"`, `"2 min 05 s"`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"
