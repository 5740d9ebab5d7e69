"""What kind of mistake a finding is, from evidence; "unexplained" where there is none.

An inquiry asks the implementation for a few dozen more results, ordinary and crafted, and holds them against the
truth under other suppositions. The suspicions stand in an order, the most particular first; the first whose evidence
suffices is the diagnosis. A breakdown is the magnitude at which a mistake sets in.
"""

from __future__ import annotations

from lossproof.diagnosis.breakdown import Breakdown, breakdown
from lossproof.diagnosis.inquiry import Inquiry

__all__ = ["Breakdown", "Inquiry", "breakdown"]
