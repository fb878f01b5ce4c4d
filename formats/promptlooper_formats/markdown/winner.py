"""The sections of the report about the best runs and their configs."""

from collections.abc import Iterable, Iterator, Sequence

from promptlooper_export.plugin import JSON, Deviation, Report, Rival
from promptlooper_formats.markdown.text import (
    escaped,
    fenced,
    fenced_json,
    short_code,
    table,
    title,
)
from promptlooper_formats.shared.quantities import (
    column,
    counted,
    duration,
    listed,
    number,
    percent,
)
from promptlooper_formats.shared.selection import (
    COLUMNS,
    ChangedText,
    brief_text,
    changed_texts,
    differing,
    score_table,
    settings,
)
from promptlooper_formats.shared.sentences import (
    Contrast,
    contrasts,
    runner_up,
    told_apart,
)
from promptlooper_formats.shared.text import visible
from promptlooper_formats.shared.word_diff import Piece

NOTHING_SCORED = "No scored runs available."

_MOST_DIFFERENCES = 20
"""How many parameters are listed in which the winner differs from others."""

_BETWEEN = 20
"""Characters between two changes of a text from which on they are shown apart."""


def top(report: Report) -> Iterator[str]:
    """Yield the best runs with their scores, and with the parameters that differ."""
    runs = report.top
    if not runs:
        yield NOTHING_SCORED
        return
    parameters = differing(report)
    scorers = score_table(report)
    known = (
        ("Tokens in:", [number(run.tokens_in) for run in runs]),
        ("Tokens out:", [number(run.tokens_out) for run in runs]),
        ("Duration:", [duration(run.duration_ms) for run in runs]),
        ("Cost (USD):", column([run.cost_usd for run in runs])),
    )
    named = ("Name", [escaped(run.name or "") for run in runs])
    columns = (
        ("Rank:", [number(run.rank) for run in runs]),
        ("Run", [str(run.run_id) for run in runs]),
        *([named] if any(run.name for run in runs) else []),
        ("Weighted score:", column([run.weighted_score for run in runs])),
        *(
            (
                title(one.path),
                [
                    _brief(value, is_set, one.values[0])
                    for value, is_set in zip(one.values, one.is_set, strict=True)
                ],
            )
            for one in parameters[:COLUMNS]
        ),
        *(
            (f"{escaped(scorer)}:", column([run.scores.get(scorer) for run in runs]))
            for scorer in scorers.scorers
        ),
        *((name, cells) for name, cells in known if any(cells)),
        ("Config hash", [escaped(run.config_hash) for run in runs]),
    )
    yield table(
        [name for name, _ in columns],
        zip(*(cells for _, cells in columns), strict=True),
    )
    yield from _no_room("parameter", [one.path for one in parameters[COLUMNS:]])
    yield from _no_room("scorer", scorers.further)


def _value(value: JSON, is_set: bool) -> str:  # noqa: FBT001  a pair, from map()
    return short_code(value) if is_set else "not set"


def _brief(value: JSON, is_set: bool, winner: JSON) -> str:  # noqa: FBT001  a pair
    return brief_text(value, winner) or _value(value, is_set)


def _no_room(kind: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        further = counted(len(names), f"further {kind}")
        yield escaped(f"Not in the table: {further} ({listed(names)}).")


def detail(report: Report) -> Iterator[str]:
    """Yield which run won, with its scores."""
    if report.winner is None:
        yield NOTHING_SCORED
        return
    run = report.winner.run
    facts = [
        ("Run ID", str(run.run_id)),
        ("Config hash", escaped(run.config_hash)),
        ("Weighted score", number(run.weighted_score)),
        *([("Name", escaped(run.name))] if run.name else []),
    ]
    yield "\n".join(f"- **{name}:** {text}" for name, text in facts)
    yield table(
        ("Scorer", "Score:"),
        ((escaped(scorer), number(value)) for scorer, value in run.scores.items()),
    )


def config(report: Report) -> Iterator[str]:
    """Yield the winning config as JSON."""
    if report.winner is None:
        return
    if report.winner.config is None:
        yield "Its stored config is not valid JSON, see Warnings."
    else:
        yield fenced_json(report.winner.config)


def prompts(report: Report) -> Iterator[str]:
    """Yield the long texts of the winning config with their line breaks."""
    if report.winner is None or report.winner.config is None:
        return
    for path, text in settings(report.winner.config).texts:
        yield f"The text **{escaped(path)}**:"
        yield fenced(text, "text")


def differences(report: Report) -> Iterator[str]:
    """Yield what the winner does differently from the runner-up and the usual."""
    if report.differences is None or not report.differences.compared:
        return
    others = f"the next best runs ({number(report.differences.compared)})"
    kept, seeds = contrasts(report)
    left_out = (
        f" Left out, because they only tell runs apart: {escaped(listed(seeds))}."
        if seeds
        else ""
    )
    if not kept:
        yield f"Nothing: its parameters are those of {others}.{left_out}"
        return
    rival = runner_up(report)
    rank = f" (rank {rival.rank}, the next best config)" if rival else ""
    yield f"From the runner-up{rank}, and from what is usual among {others}.{left_out}"
    yield table(
        ("Parameter", "Winner", "Runner-up", "Usual", "Agree with winner:"),
        map(_difference, kept[:_MOST_DIFFERENCES]),
    )
    further = len(kept[_MOST_DIFFERENCES:])
    if further:
        yield f"{counted(further, 'further difference')}; the report as JSON has all."
    yield from diffs(changed_texts(kept[:_MOST_DIFFERENCES]))


def _difference(found: Contrast) -> tuple[str, ...]:
    return (
        escaped(found.path),
        _value(found.winner, found.has_winner),
        _value(found.runner_up, found.has_runner_up),
        _value(found.usual, found.has_usual),
        "most" if found.share is None else percent(found.share),
    )


def diffs(found: Iterable[ChangedText]) -> Iterator[str]:
    """Yield long texts of the winner as they differ from those of another config."""
    for changed in found:
        yield (
            f"The text **{escaped(changed.path)}**, from the {changed.source} to the "
            "winner's:"
        )
        yield fenced("\n".join(_diff_lines(changed.pieces)), "diff")


def _diff_lines(pieces: Sequence[Piece]) -> Iterator[str]:
    """Yield the lines of a diff, each change on its own.

    Changes with only a few words between them are one change.
    """
    old, new = "", ""
    for piece in pieces:
        if piece.kind == "old":
            old += piece.text
        elif piece.kind == "new":
            new += piece.text
        elif piece.kind == "same" and len(piece.text) < _BETWEEN and (old or new):
            old, new = old + piece.text, new + piece.text
        else:
            yield from (*_prefixed("-", old), *_prefixed("+", new))
            old, new = "", ""
            if piece.kind == "same":
                yield from _prefixed(" ", piece.text)
            else:
                yield f"@@ {piece.text} @@"
    yield from (*_prefixed("-", old), *_prefixed("+", new))


def _prefixed(sign: str, text: str) -> Iterator[str]:
    if text:
        for line in visible(text).removesuffix("\n").split("\n"):
            yield f"{sign} {line}"


def rivals(report: Report) -> Iterator[str]:
    """Yield in what the next best configs differ from the winner's."""
    if report.rivals:
        yield "\n".join(_rival(report, one) for one in report.rivals)


def _rival(report: Report, rival: Rival) -> str:
    found = told_apart(report, rival.deviations)
    shown = "; ".join(map(_deviation, found[:COLUMNS]))
    further = rival.further + len(found[COLUMNS:])
    more = f"; and {counted(further, 'further difference')}" if further else ""
    said = f"{shown or 'no other parameter that anybody would set'}{more}"
    return (
        f"- **Rank {rival.rank}**, run `{rival.run_id.hex[:8]}`, "
        f"{number(rival.weighted_score)}: {said}"
    )


def _deviation(found: Deviation) -> str:
    other = _brief(found.other, found.has_other, found.winner)
    winner = _brief(found.winner, found.has_winner, found.winner)
    return f"{escaped(found.path)} {other} instead of {winner}"
