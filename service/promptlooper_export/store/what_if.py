"""How a request has the winner chosen, if not as the experiment's own rule has it.

Pure: no database. `weights=accuracy:0.7,cost:0.3`, `directions=cost:minimize` and
`required=accuracy,cost` each replace the member of scoring_config with that name. In
each item, the last colon ends the scorer's name. A name with a comma, with white space
at an end or with a brace in front needs JSON: `weights={"a,b":1}`, `required=["a,b"]`.

`by=config` compares configs instead of runs, and `prefer` takes another config that is
as good; `election` does both.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from promptlooper_export.configs import JSON, repeated, strict_json
from promptlooper_export.documents import Notice
from promptlooper_export.errors import InvalidParameterError
from promptlooper_export.store.experiments import ExperimentRow
from promptlooper_export.store.rows import is_utf_8
from promptlooper_export.store.scoring import (
    Direction,
    faults,
    is_unknown,
    rules,
    unknown_scorer,
)

By = Literal["run", "config"]
Prefer = Literal["cheapest-within-1se", "fastest-within-1se"]

BYS: tuple[By, ...] = get_args(By)
PREFERENCES: tuple[Prefer, ...] = get_args(Prefer)

RULE, BY_CONFIG, PREFER = "what-if", "by-config", "prefer"
"""The codes of the notices that say how the winner was chosen."""

ASKED_FOR = frozenset({RULE, BY_CONFIG, PREFER})
"""Codes of notices that confirm a request: there is nothing to correct."""

_ALLOWED_SHOWN = 100

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


class RuleSyntaxError(ValueError):
    """A text that is not a rule, and what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """How a request has the winner chosen.

    `weights`, `directions` and `required` are None to leave that member of
    scoring_config as it is. They are sorted, so that two ways to write one rule are one
    value. A config stands `by` its runs' mean if it has `min_runs` that count;
    `repeat_over` are the paths that repeats of one config may differ in.
    """

    weights: tuple[tuple[str, float], ...] | None = None
    directions: tuple[tuple[str, Direction], ...] | None = None
    required: tuple[str, ...] | None = None
    by: By = "run"
    min_runs: int = 1
    repeat_over: tuple[str, ...] = ()
    prefer: Prefer | None = None

    @property
    def rule(self) -> "WhatIf":
        """The part that decides what a run's weighted score is."""
        return WhatIf(
            weights=self.weights, directions=self.directions, required=self.required
        )

    def members(self) -> dict[str, JSON]:
        """Return the members of scoring_config that are replaced."""
        members: dict[str, JSON] = {}
        if self.weights is not None:
            members["weights"] = dict(self.weights)
        if self.directions is not None:
            members["directions"] = dict(self.directions)
        if self.required is not None:
            members["required"] = list(self.required)
        return members


STORED = WhatIf()
"""The experiment's own rule."""


def what_if_of(given: Mapping[str, Any]) -> WhatIf:
    """Return what the parameters ask for; those that are not given are None or absent.

    Raises InvalidParameterError for one that says nothing without another.
    """
    values = {name: value for name, value in given.items() if value is not None}
    by = values.get("by")
    if "prefer" in values:
        if by == "run":
            detail = "prefer compares configs: leave out by=run."
            raise InvalidParameterError(detail, parameter="prefer")
        values["by"] = by = "config"
    if "min_runs" in values and by != "config":
        detail = "min_runs is about configs: it needs by=config or prefer."
        raise InvalidParameterError(detail, parameter="min_runs")
    return WhatIf(**values)


def apply(what_if: WhatIf, row: ExperimentRow) -> ExperimentRow:
    """Return the experiment with the rule that is asked for, and a notice of it."""
    members = what_if.members()
    if not members:
        return row
    stored = row.experiment.scoring_config
    rule: dict[str, JSON] = (
        {**stored, **members} if isinstance(stored, dict) else members
    )
    used = json.dumps(members, ensure_ascii=False)
    notice = Notice(
        code=RULE,
        message=f"What if: the winner is chosen by {used} instead of the stored rule.",
        path="scoring_config",
    )
    # First, since X-Export-Warnings is cut at its end.
    return replace(row, rule=rule, rules=rules(rule), warnings=(notice, *row.warnings))


def refuse_unknown(what_if: WhatIf, scorers: frozenset[str]) -> None:
    """Raise InvalidParameterError for a scorer that no completed run has.

    The stored rule may name scorers that are yet to come; a request may not.
    """
    for member, named in what_if.members().items():
        # An object of scorers or a list of them: iterating gives their names.
        for scorer in named if isinstance(named, dict | list) else ():
            if is_unknown(str(scorer), scorers):
                raise InvalidParameterError(
                    unknown_scorer(member, str(scorer), scorers),
                    parameter=member,
                    allowed=sorted(scorers)[:_ALLOWED_SHOWN],
                )


def read_weights(text: str) -> tuple[tuple[str, float], ...]:
    """Read `scorer:number,…` or a JSON object. Raises RuleSyntaxError."""
    given = _pairs(text, "scorer:number", _number)
    _refuse_fault("weights", given)
    return tuple(sorted(rules({"weights": given}).weights.items()))


def read_directions(text: str) -> tuple[tuple[str, Direction], ...]:
    """Read `scorer:maximize,…` or a JSON object. Raises RuleSyntaxError."""
    given = _pairs(text, "scorer:maximize or scorer:minimize", str)
    _refuse_fault("directions", given)
    return tuple(sorted(rules({"directions": given}).directions.items()))


def read_required(text: str) -> tuple[str, ...]:
    """Read `scorer,…` or a JSON list of names. Raises RuleSyntaxError."""
    names = read_names(text, "scorer")
    _refuse_names(names)
    return tuple(sorted(names))


def read_repeat_over(text: str) -> tuple[str, ...]:
    """Read paths between commas, or a JSON list of them. Raises RuleSyntaxError."""
    return tuple(sorted(read_names(text, "path")))


def read_names(text: str, what: str) -> list[str]:
    """Read names between commas, or a JSON list of them. Raises RuleSyntaxError."""
    names: list[str] = []
    if text.lstrip().startswith("["):
        given = _json(text)
        for name in given if isinstance(given, list) else ():
            if not isinstance(name, str):
                msg = f"{name!r} is not the name of a {what}"
                raise RuleSyntaxError(msg)
            names.append(name)
    else:
        names = _items(text, what)
    _refuse_repeated(names, what)
    return names


def _pairs(text: str, form: str, read: Callable[[str], JSON]) -> dict[str, JSON]:
    if text.lstrip().startswith("{"):
        given = _json(text)
        pairs = given if isinstance(given, dict) else {}
    else:
        found: list[tuple[str, JSON]] = []
        for item in _items(text, form):
            # The last colon: a scorer may well be called `judge:accuracy`.
            scorer, colon, word = item.rpartition(":")
            if not colon or not scorer.strip():
                msg = f"{item!r} must look like {form}"
                raise RuleSyntaxError(msg)
            found.append((scorer.strip(), read(word.strip())))
        _refuse_repeated([scorer for scorer, _ in found], "scorer")
        pairs = dict(found)
    _refuse_names(pairs)
    return pairs


def _items(text: str, form: str) -> list[str]:
    items = [item.strip() for item in text.split(",")]
    if not all(items):
        msg = f"each item between commas must be a {form}; {{}} or [] is for none"
        raise RuleSyntaxError(msg)
    return items


def _json(text: str) -> JSON:
    try:
        return strict_json(text)
    except (ValueError, RecursionError) as error:
        msg = f"it begins like JSON, but is not: {error}"
        raise RuleSyntaxError(msg) from None


def _number(text: str) -> JSON:
    """Return a number; other text as it is, to be named as a fault."""
    return float(text) if _NUMBER.fullmatch(text) else text


def _refuse_fault(member: str, given: Mapping[str, JSON]) -> None:
    for fault in faults({member: dict(given)}):
        msg = f"{fault.what}{fault.hint or '.'}"
        raise RuleSyntaxError(msg)


def _refuse_repeated(names: Sequence[str], what: str) -> None:
    if twice := repeated(names):
        msg = f"the {what} {twice[0]!r} is there twice"
        raise RuleSyntaxError(msg)


def _refuse_names(names: Mapping[str, JSON] | Sequence[str]) -> None:
    for name in names:
        # Databases refuse both, so no run has a score by such a scorer.
        if "\0" in name or not is_utf_8(name):
            msg = f"no scorer is called {name!r}"
            raise RuleSyntaxError(msg)
