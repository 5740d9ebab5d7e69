"""Exit codes, which scripts rely on."""

from __future__ import annotations

from lossproof.audit.results import Run, blamed

CLEAN = 0
FINDINGS = 1
WRONG = 2
NOTHING = 3
INTERRUPTED = 130


def exit_code(run: Run, fail_on: str = "fail") -> int:
    """The exit code of a run.

    A broken spec or adapter outweighs findings: then the run says less than it was asked for. Waived rows are
    no findings; degraded ones are with fail_on="degraded". A waiver that does not hold counts as a finding.
    """
    from lossproof.report import digest

    if run.problems:
        return WRONG
    if run.objections or any(row.verdict in blamed(fail_on) for row in run.results):
        return FINDINGS
    return CLEAN if digest.checked(run) else NOTHING
