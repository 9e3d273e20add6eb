"""What `forgetaudit init` writes: a commented config, its limits beside what was measured, and a workflow."""

import json
import shlex
from collections.abc import Iterator
from datetime import date

from forgetaudit.inference.power import examples_to_pass, smallest_margin
from forgetaudit.renderers import numbers
from forgetaudit.report.behaviour import SourceSection
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport

__all__ = ["config_text", "workflow_text"]

CONFIDENCE, POWER = 0.95, 0.8
USUAL_LIMIT = 0.02


def config_text(report: AuditReport | None, today: date) -> str:
    """forgetaudit.toml, every line explained; limits are such as the data of `report`, if there is one, can decide."""
    return "\n".join([*_head(report, today), "", *_inputs(report), "", *_gate(report, today)]) + "\n"


def workflow_text(report: AuditReport | None) -> str:
    """.github/workflows/forgetaudit.yml: audits on every push, keeps the report, shows it in the summary."""
    base = "base.safetensors" if report is None else report.inputs.base.path
    tuned = "tuned.safetensors" if report is None else report.inputs.tuned[0].path
    data = " ".join(f"--data {_word(name)}" for name in _data_names(report))
    return _WORKFLOW.format(base=_word(base), tuned=_word(tuned), data=data)


def _head(report: AuditReport | None, today: date) -> Iterator[str]:
    yield "# What a fine-tune may lose, and how sure that has to be. All of it: docs/gate.md of forgetaudit."
    if report is None:
        yield f"# Written by `forgetaudit init` on {today.isoformat()}, before anything was measured: run"
        yield "# `forgetaudit compare … --output json=report.json`, then `forgetaudit init report.json`."
    else:
        yield f"# Written by `forgetaudit init` on {today.isoformat()}, from a first run. Its figures stand beside the"
        yield "# limits: they are what was measured then, not what is right. Choose what you can accept."


def _inputs(report: AuditReport | None) -> Iterator[str]:
    model = None if report is None or isinstance(report.inputs.model, Absent) else report.inputs.model
    if model is not None and ":" in model.name:
        yield f"model = {_quoted(model.name)}"
    else:
        yield "# Where the checkpoint does not say what it is:"
        yield '# model = "network.py:build"'
    if report is None:
        yield ""
        yield "[data.source]"
        yield 'path = "path/to/held_out_source_data"   # anything that --data takes'
        return
    for data in report.inputs.data:
        yield ""
        yield f"[data.{_key(data.data)}]"
        yield f"path = {_quoted(data.where)}   # {numbers.count(data.n)} examples"


def _gate(report: AuditReport | None, today: date) -> Iterator[str]:
    yield "[gate]"
    yield "confidence = 0.95             # one-sided"
    yield "min-samples = 200             # can hold back a pass, never a fail"
    yield 'fail-when = "likely"          # or "proven": only where the drop is surely over the limit'
    yield 'on-inconclusive = "warn"      # or "fail", "pass"'
    yield "# family-wise = true          # many rules: all together fail 5 % of unchanged runs, not each (Holm)"
    yield ""
    yield "[gate.rules]"
    yield from _accuracy_rules(report, today)
    yield 'forgotten    = { max = "5pt", level = "warn" }     # right in base, wrong in tuned, whatever was gained'
    yield 'disagreement = { max = "10pt", level = "warn" }    # answers that changed; needs no labels'
    yield f'cka          = {{ min = 0.80, level = "warn" }}      # {_cka(report)}'
    yield f'distance     = {{ max = 0.50, level = "warn" }}      # {_distance(report)}'
    yield '# frozen     = { tensors = ["stem.*"] }            # bit-identical, buffers included'


def _accuracy_rules(report: AuditReport | None, today: date) -> Iterator[str]:
    sections = _first_sections(report)
    if not sections:
        n = numbers.count(examples_to_pass(0.05, USUAL_LIMIT, confidence=CONFIDENCE, power=POWER))
        yield f"# At 5 % flips, {n} examples decide a limit of 2 pt: `forgetaudit plan` tells others."
        yield 'accuracy     = { max-drop = "2pt" }'
        return
    several = len(sections) > 1
    bodies = []
    for section in sections:
        yield f"# {_plain(section.data)}: {_measured(section)}, as of {today.isoformat()};"
        yield f"#   {_resolution(section)}"
        name = f", data = {_quoted(section.data)}" if several else ""
        bodies.append(f'{{ max-drop = "2pt"{name} }}')
    yield f"accuracy     = [{', '.join(bodies)}]" if several else f"accuracy     = {bodies[0]}"


def _measured(section: SourceSection) -> str:
    drop = section.accuracy.drop
    told = f"accuracy {numbers.percent(section.accuracy.base)} → {numbers.percent(section.accuracy.tuned)}"
    if isinstance(drop, Absent) or drop.low is None or drop.high is None:
        return told
    return f"{told}, a drop of {100 * drop.estimate:.1f} [{100 * drop.low:.1f}, {100 * drop.high:.1f}] pt"


def _resolution(section: SourceSection) -> str:
    """The smallest limit that an unchanged pair could pass on as many examples with as many flips."""
    effect = 1.0 if section.groups is None else section.groups.drop_effect
    n = max(1, int(section.n / effect))
    flip_rate = (section.flips.forgotten + section.flips.gained) / section.n
    smallest = smallest_margin(flip_rate, n, confidence=CONFIDENCE, power=POWER)
    told = f"n = {numbers.count(section.n)}, {100 * flip_rate:.1f} % flipped"
    return f"{told}: no limit under {100 * smallest:.2f} pt can be passed with 80 % power"


def _cka(report: AuditReport | None) -> str:
    layers = [
        (layer.cka.estimate, layer.layer)
        for section in (() if report is None or isinstance(report.features, Absent) else report.features)
        for layer in section.layers
        if not isinstance(layer.cka, Absent) and layer.stage != "head"
    ]
    if not layers:
        return "every watched layer but heads; a diagnostic"
    value, name = min(layers)
    return f"lowest then: {numbers.unit(value)} ({_plain(name)})"


def _distance(report: AuditReport | None) -> str:
    if report is None or isinstance(report.weights, Absent):
        return "of all parameters, relative to base; a diagnostic"
    values = [w.total.relative for w in report.weights if not isinstance(w.total.relative, Absent)]
    return f"largest then: {numbers.unit(max(values))}" if values else "of all parameters, relative to base"


def _first_sections(report: AuditReport | None) -> list[SourceSection]:
    """One for each data set; of the first variant."""
    found: dict[str, SourceSection] = {}
    for section in () if report is None or isinstance(report.source, Absent) else report.source:
        found.setdefault(section.data, section)
    return list(found.values())


def _data_names(report: AuditReport | None) -> list[str]:
    return ["source"] if report is None else [data.data for data in report.inputs.data]


def _key(name: str) -> str:
    bare = name.replace("-", "").replace("_", "")
    return name if bare.isascii() and bare.isalnum() else _quoted(name)


def _quoted(text: str) -> str:
    # A TOML basic string is escaped as JSON is, but for DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _word(path: str) -> str:
    """One word of a shell command in a workflow; a name that could be more than that is left to be filled in."""
    if not path.isprintable() or "${{" in path or ": " in path or " #" in path:
        return "CHECKPOINT"
    return shlex.quote(path)


def _plain(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name)


_WORKFLOW = """\
# Fails a change whose fine-tune forgot more than forgetaudit.toml allows, and keeps the report.
name: forgetaudit
on: [push, pull_request]
permissions:
  contents: read
jobs:
  audit:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with:
          lfs: true
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - run: pip install "forgetaudit[transformers]"
      # The step summary is written by itself; exit code 1 is a broken rule, 2 that it could not be audited.
      - run: forgetaudit compare {base} {tuned} {data} --output html=forgetaudit.html --output json=forgetaudit.json
      - uses: actions/upload-artifact@v4
        if: always()
        with:
          name: forgetaudit
          path: |
            forgetaudit.html
            forgetaudit.json
"""
