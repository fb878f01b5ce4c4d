"""The sections of the report about where it comes from, and what the runs used."""

from collections.abc import Iterator

from promptlooper_export.plugin import JSON, Crossing, Report
from promptlooper_formats.markdown.text import code, escaped, fenced_json, table
from promptlooper_formats.shared import sentences
from promptlooper_formats.shared.quantities import (
    counted,
    duration,
    moment,
    number,
    weight,
)


def space(report: Report) -> Iterator[str]:
    """Yield what values each parameter could have."""
    found: JSON = report.experiment.parameter_space
    if not found:
        yield "No parameter space defined."
    elif isinstance(found, dict):
        yield table(
            ("Parameter", "Values"),
            ((escaped(name), code(values)) for name, values in found.items()),
        )
    else:
        yield fenced_json(found)


def counts(report: Report) -> Iterator[str]:
    """Yield how many runs there are, by status."""
    found = report.counts
    yield table(
        ("Runs", "Count:"),
        (
            ("total", number(found.total)),
            *((escaped(status), number(n)) for status, n in found.by_status.items()),
            ("scored", number(found.scored)),
        ),
    )


def tokens(report: Report) -> Iterator[str]:
    """Yield the tokens of all runs."""
    found = report.tokens
    if not found.total:
        yield "No token data available."
        return
    yield table(
        ("Tokens", "Count:"),
        (
            ("in", number(found.tokens_in)),
            ("out", number(found.tokens_out)),
            ("total", number(found.total)),
        ),
    )


def timing(report: Report) -> Iterator[str]:
    """Yield how long completed runs take."""
    found = report.timing
    if found is None:
        yield "No timing data available."
        return
    yield table(
        (f"Completed runs: {number(found.count)}", "Duration:"),
        (
            ("fastest", duration(found.fastest)),
            ("average", duration(found.average)),
            ("median", duration(found.median)),
            ("95th percentile", duration(found.p95)),
            ("slowest", duration(found.slowest)),
            ("total", duration(found.total)),
        ),
    )


def cost(report: Report) -> Iterator[str]:
    """Yield what the runs cost."""
    found = report.cost
    if found is None:
        return
    yield table(
        (f"Runs with a cost: {number(found.count)}", "USD:"),
        (("average", number(found.average)), ("total", number(found.total))),
    )
    unknown = report.counts.total - found.count
    if unknown > 0:
        yield f"It is unknown for {counted(unknown, 'run')}."


def chosen(report: Report) -> Iterator[str]:
    """Yield how the winner was chosen."""
    if report.counts.total:
        yield escaped(sentences.chosen(report))


def sensitivity(report: Report) -> Iterator[str]:
    """Yield which weight, changed alone, has another run win."""
    found = report.sensitivity
    if found is None or len(found.scorers) < 2:  # noqa: PLR2004  see sentences.chosen
        return
    yield table(
        ("Scorer", "Weight:", "Below", "Above"),
        (
            (
                escaped(one.scorer),
                weight(one.weight),
                _crossing(one.lower),
                _crossing(one.upper),
            )
            for one in found.scorers
        ),
    )
    yield f"Each weight changed alone, over {counted(found.runs, 'run')}."


def _crossing(found: Crossing | None) -> str:
    if found is None:
        return "the winner stays"
    return f"{number(found.weight)}: run {found.run_id} wins"


def provenance(report: Report) -> Iterator[str]:
    """Yield what the report was made from, and what was hidden."""
    if not report.counts.total:
        return
    created = report.experiment.created_at
    facts = [
        *([("Created", moment(created))] if created else []),
        ("Read from the database", f"{moment(report.exported_at)}, in one snapshot"),
        ("Redacted", escaped(sentences.redactions(report))),
    ]
    yield "\n".join(f"- **{name}:** {text}" for name, text in facts)
