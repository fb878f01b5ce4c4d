"""`decide`: elect the winner again from a decision record, without a database."""

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from marshmallow import ValidationError

from promptlooper_export.cli.terminal import counted, printable
from promptlooper_export.configs import strict_json
from promptlooper_export.decisions import Digest
from promptlooper_export.errors import ComparisonError, DifferenceError
from promptlooper_export.schemas import DecisionSchema
from promptlooper_export.store.scoring import Rules, weighted_score

_SHOWN = 5

_FIRST = datetime.min.replace(tzinfo=UTC)


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False))
def decide(*, file: str) -> None:
    """Elect the winner again from a report, offline.

    FILE is a report in the format report-json, or - for standard input. By the decision
    record in it, every score and place is computed anew from the recorded scores and
    rule. The exit code is 3 if anything differs. Needs no database.
    """
    record = _read(file)
    differences = list(_differences(record))
    for line in differences[:_SHOWN]:
        click.echo(printable(line))
    if differences:
        msg = f"{file}: {counted(len(differences), 'difference')} from the record"
        raise DifferenceError(msg)
    listed = len(record["candidates"])
    of = "" if listed == record["runs"] else f" (of {record['runs']:,} runs)"
    winner = record["winner"]
    elected = "no run can win" if winner is None else f"{winner} wins"
    click.echo(f"{elected}, as recorded: {counted(listed, 'candidate')}{of}")


def _read(file: str) -> dict[str, Any]:
    """Read the record in a file. Raises ComparisonError."""
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        document = strict_json(data.decode())
    except OSError as error:
        msg = f"{file}: {error.strerror}"
        raise ComparisonError(msg) from error
    except (ValueError, RecursionError) as error:
        msg = f"{file} is not a report in JSON, or is incomplete: {error}"
        raise ComparisonError(msg) from error
    found = document.get("decision") if isinstance(document, dict) else None
    if not isinstance(found, dict):
        msg = f"{file} has no decision record; export one with: -f report-json"
        raise ComparisonError(msg)
    try:
        record: dict[str, Any] = DecisionSchema().load(found)
    except ValidationError as error:
        place, complaint = _first(error.messages)
        msg = f"{file}: decision{place}: {complaint}"
        raise ComparisonError(msg) from error
    return record


def _first(messages: object) -> tuple[str, str]:
    """Return the path of the first complaint of a validation, and the complaint."""
    path = ""
    while isinstance(messages, Mapping):
        key, messages = next(iter(messages.items()))
        path += f".{key}"
    return path, str(messages[0] if isinstance(messages, list) else messages)


def _differences(record: Mapping[str, Any]) -> Iterator[str]:
    """Elect again, and say what is not as recorded."""
    rule = record["rule"]
    rules = Rules(
        weights=rule["weights"],
        directions=rule["directions"],
        direction=rule["direction"],
        required=frozenset(rule["required"]),
    )
    ranked: list[tuple[float, datetime, str, Mapping[str, Any]]] = []
    for one in record["candidates"]:
        score = None
        if one["reason"] != "not completed":
            score = weighted_score(rules, one["scores"])
        if score is not None:
            made = one["created_at"] or _FIRST
            ranked.append((-score, made, one["run_id"].hex, one))
        if one["weighted_score"] != score or one["is_eligible"] != (score is not None):
            yield f"{one['run_id']}: {one['weighted_score']} is recorded, not {score}"
    ranked.sort(key=lambda row: row[:3])
    for place, (*_, one) in enumerate(ranked, start=1):
        if one["place"] != place:
            yield f"{one['run_id']}: place {one['place']} is recorded, not {place}"
    winner: UUID | None = ranked[0][3]["run_id"] if ranked else None
    if record["winner"] != winner:
        yield f"winner: {record['winner']} is recorded, not {winner}"
    if len(record["candidates"]) == record["runs"]:
        yield from _miscounted(record, len(ranked))


def _miscounted(record: Mapping[str, Any], eligible: int) -> Iterator[str]:
    """Say what a whole list of candidates belies."""
    digest = Digest()
    for one in record["candidates"]:
        if one["reason"] != "not completed":
            digest.add(one["run_id"], one["scores"])
    if eligible != record["eligible"]:
        yield f"eligible: {record['eligible']} is recorded, not {eligible}"
    if digest.text() != record["digest"]:
        yield "digest: the candidates are not those that were recorded"
