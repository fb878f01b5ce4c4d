"""Whether the winner is better than that of another experiment."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from promptlooper_export.analysis.assessment import luck, verdict
from promptlooper_export.analysis.evidence import Evidence, Sample
from promptlooper_export.analysis.verdict import judge
from promptlooper_export.verdicts import Differing, Tag, TagVerdict, Verdict


def compare_winners(
    first: Evidence, second: Evidence, *, margin: float, differing: Sequence[Differing]
) -> Verdict:
    """Judge the winner of the first experiment by that of the second.

    Each winner is the best of its experiment's configs. A wrong `better` needs one of
    the first experiment's configs to be ahead of the best of the second, so the level
    is divided by their number (Bonferroni); for `worse`, by the number of the others.
    The larger of the two serves both.

    If the experiments are `differing`, the summary says that this was forced.
    """
    outcome = judge(
        first.samples[first.winner],
        second.samples[second.winner],
        margin=margin,
        comparisons=_configs(first, second),
    )
    found = verdict(
        "experiment",
        first.samples[first.winner],
        second.samples[second.winner],
        outcome,
        luck=max(luck(first), luck(second)),
    )
    return _labelled(found, differing)


def compare_tags(
    first: Evidence,
    second: Evidence,
    tags: Mapping[str, Tag],
    samples: tuple[Mapping[str, Sample], Mapping[str, Sample]],
    *,
    margin: float,
    differing: Sequence[Differing],
) -> tuple[TagVerdict, ...]:
    """Judge the same winners by the runs with each tag, those of the most runs first.

    The level is divided by the number of tags as well: of many subgroups, one may well
    be lucky.
    """
    found = []
    for text, tag in tags.items():
        one, other = (of_side.get(text) for of_side in samples)
        if one is None or other is None:  # none of these runs counts
            continue
        outcome = judge(
            one, other, margin=margin, comparisons=_configs(first, second) * len(tags)
        )
        by_tag = verdict(
            "experiment", one, other, outcome, luck=max(luck(first), luck(second))
        )
        found.append(
            TagVerdict(
                tag=tag,
                runs=(len(one.runs), len(other.runs)),
                verdict=_labelled(by_tag, differing),
            )
        )
    return tuple(found)


def spread(tags: Sequence[TagVerdict]) -> str:
    """Count the verdicts on tags, so that a reversed one is seen."""
    words = Counter(one.verdict.verdict for one in tags)
    counts = ", ".join(f"{words[word]} {word}" for word in sorted(words))
    return f"By tag: {counts}."


def listed(names: Sequence[str]) -> str:
    """Write names as in `a, b and c`."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _configs(first: Evidence, second: Evidence) -> int:
    return max(first.configs, second.configs)


def _labelled(found: Verdict, differing: Sequence[Differing]) -> Verdict:
    if not differing:
        return found
    forced = f"Forced, although the experiments differ in {listed(differing)}."
    return replace(found, summary=f"{found.summary} {forced}")
