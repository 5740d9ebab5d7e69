"""A run as JUnit XML, which CI servers read: a suite per implementation and setting, a case per row."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

from lossproof.audit.results import Result, Run, Verdict
from lossproof.report import digest, files
from lossproof.report.facts import facts
from lossproof.report.text import bits, clean

# XML 1.0, production Char; clean() has escaped most of what is left out.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text(run: Run, fail_on: str = "fail") -> str:
    """The XML. With fail_on="degraded", degraded rows are failures too; waived rows are skipped ones."""
    root = ET.Element("testsuites", name="lossproof")
    suites: dict[tuple[str, ...], list[Result]] = {}
    for row in run.results:
        key = (row.implementation, row.loss, row.framework, row.device, row.dtype, row.mode)
        suites.setdefault(key, []).append(row)
    described = {finding.id: "\n".join(f"{a}: {b}" for a, b in facts(finding)) for finding in run.findings}
    for rows in suites.values():
        _suite(root, rows, described, fail_on)
    if run.problems:
        suite = ET.SubElement(root, "testsuite", name="problems")
        for problem in run.problems:
            case = ET.SubElement(suite, "testcase", classname="problems", name=_safe(problem.where))
            ET.SubElement(case, "error", message=_safe(problem.message), type="problem")
    if run.objections:
        suite = ET.SubElement(root, "testsuite", name="waivers")
        for each in run.objections:
            case = ET.SubElement(suite, "testcase", classname="waivers", name=_safe(each.where))
            ET.SubElement(case, "failure", message=_safe(each.message), type=each.kind)
    for suite in root:
        _count(suite, [suite])
    _count(root, list(root))
    del root.attrib["skipped"]  # the format has it for suites alone
    root.set("time", f"{run.seconds:.3f}")
    ET.indent(root, " ")
    return ET.tostring(root, encoding="unicode", xml_declaration=False).join(
        ('<?xml version="1.0" encoding="utf-8"?>\n', "\n")
    )


def write(run: Run, path: Path, fail_on: str = "fail") -> None:
    """Write the XML to `path`. Raises UsageError where that cannot be."""
    files.write(path, text(run, fail_on))


def _suite(root: ET.Element, rows: list[Result], described: dict[str, str], fail_on: str) -> None:
    first = rows[0]
    name = f"{first.implementation} {digest.setting(first, framework=True)}"
    suite = ET.SubElement(root, "testsuite", name=_safe(name))
    where = [first.implementation, first.framework, first.device, first.dtype, first.mode]
    for row in rows:
        label = row.check + (f"[{row.regime}]" if row.regime else "")
        case = ET.SubElement(suite, "testcase", classname=_safe(".".join(where)), name=_safe(label))
        lost = f"{bits(row.bits_lost)} bits lost: " if row.bits_lost else ""
        message = _safe(lost + (row.reason or "no reason was given"))
        detail = _safe(described.get(row.finding or "", ""))
        if row.verdict is Verdict.FAIL or (row.verdict is Verdict.DEGRADED and fail_on == "degraded"):
            ET.SubElement(case, "failure", message=message, type=row.verdict.value).text = detail
        elif row.verdict is Verdict.ERROR:
            ET.SubElement(case, "error", message=message, type="error").text = detail
        elif row.verdict is Verdict.SKIP:
            ET.SubElement(case, "skipped", message=message)
        elif row.verdict is Verdict.WAIVED:
            ET.SubElement(case, "skipped", message=_safe(f"waived: {row.reason or 'no reason was given'}"))
        elif row.verdict is Verdict.DEGRADED:
            ET.SubElement(case, "system-out").text = f"degraded: {message}"


def _count(element: ET.Element, suites: list[ET.Element]) -> None:
    for attribute, path in (
        ("tests", "testcase"),
        ("failures", "testcase/failure"),
        ("errors", "testcase/error"),
        ("skipped", "testcase/skipped"),
    ):
        element.set(attribute, str(sum(len(suite.findall(path)) for suite in suites)))


def _safe(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", clean(text))
