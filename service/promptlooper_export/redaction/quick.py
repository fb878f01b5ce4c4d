"""Tell quickly what has no secret, since most documents have none.

A document has none if none of its texts is a secret, holds one or is the name of one,
as a key, as a value or in a list. Each text is looked at once, however often it occurs.
"""

import json
import re
from collections.abc import Iterable, Mapping
from itertools import chain

from promptlooper_export.configs import json_text
from promptlooper_export.deadline import in_time
from promptlooper_export.redaction.assignments import SEPARATOR
from promptlooper_export.redaction.names import may_be_names, strength
from promptlooper_export.redaction.text import redact_own, redact_text
from promptlooper_export.runs import RunBatch

IS_JSON = re.compile(r"\s{0,100}[{\[]")
"""What begins like an object or a list may be JSON, whose texts are looked at."""

_STARTS = ("-", "pass:")
"""How an argument begins that may be a secret, or be followed by one."""

_REMEMBERED = 100
"""The longest text, in characters, that is remembered as harmless."""

_REMEMBERED_TEXTS = 10_000

# Threads share the sets: a lost or repeated entry only costs another look.
_harmless: set[str] = set()
_harmless_json: set[str] = set()
"""The same of texts as they stand between the quotes of JSON: see _quoted."""


def forget() -> None:
    """Look at every text again, since other texts are secret now."""
    _harmless.clear()
    _harmless_json.clear()


def suspects(texts: set[str]) -> set[str]:
    """Return those of the texts that may be a secret, hold one or be a name of one."""
    unknown = texts - _harmless
    if not unknown:
        return unknown
    found = {text for text in unknown if text == "pass" or text.startswith(_STARTS)}
    found |= {text for text in may_be_names(unknown) if strength(text) != "none"}
    # An operator's pattern may well look for the beginning or end of a text.
    found |= {text for text in in_time(unknown) if redact_own(text) != text}
    # One search through the joined texts is faster than one for each, and finds every
    # secret: nothing that is looked for crosses the separator.
    joined = SEPARATOR.join(unknown)
    if redact_text(joined) != joined:
        found |= {text for text in in_time(unknown) if redact_text(text) != text}
    within = {text: _texts_of_json(text) for text in unknown if IS_JSON.match(text)}
    if within and (bad := suspects(set(chain.from_iterable(within.values())))):
        found |= {text for text, inner in within.items() if not bad.isdisjoint(inner)}
    _remember(_harmless, unknown - found)
    return found


def suspicious_places(batch: RunBatch) -> list[int]:
    """Return the places of the runs that may have a secret."""
    columns = (batch.name, batch.status, batch.config_hash, batch.error)
    texts = {text for column in columns for text in set(column) if text is not None}
    texts.update(*set(map(tuple, batch.judgements)))
    texts.update(*(_cases(cases) for cases in batch.cases if cases))
    for stage in chain.from_iterable(batch.stage_results):
        texts.add(stage.stage_name)
        if stage.output is not None:
            texts.add(stage.output)
    tags = [None if cell is None else json_text(cell) for cell in batch.tags]
    bad = suspects(texts)
    quoted = set(_quoted("\n".join((*batch.config_json, *filter(None, tags)))))
    bad_json = _suspects_in_json(quoted)
    if not bad and not bad_json:
        return []
    return [
        place
        for place in range(len(batch))
        if not bad.isdisjoint(column[place] for column in columns)
        or not bad.isdisjoint(batch.judgements[place])
        or not bad.isdisjoint(_cases(batch.cases[place]))
        or any(
            stage.stage_name in bad or stage.output in bad
            for stage in batch.stage_results[place]
        )
        or not bad_json.isdisjoint(_quoted(batch.config_json[place]))
        or not bad_json.isdisjoint(_quoted(tags[place] or ""))
    ]


def _cases(cases: Mapping[str, Iterable[str | None]]) -> set[str]:
    return {case for of_scorer in cases.values() for case in of_scorer if case}


def _suspects_in_json(quoted: set[str]) -> set[str]:
    """Return the suspects among texts as they stand between the quotes of JSON."""
    unknown = quoted - _harmless_json
    if not unknown:
        return unknown
    texts = {one: _unquoted(one) for one in in_time(unknown)}
    bad = suspects(set(texts.values()))
    found = {one for one, text in texts.items() if text in bad}
    _remember(_harmless_json, unknown - found)
    return found


def _remember(harmless: set[str], texts: Iterable[str]) -> None:
    if len(harmless) > _REMEMBERED_TEXTS:
        harmless.clear()
    harmless.update(text for text in texts if len(text) <= _REMEMBERED)


def _texts_of_json(text: str) -> list[str]:
    """Return the texts in a text that may be JSON; none if it is not."""
    try:
        return list(map(_unquoted, in_time(_quoted(text))))
    except ValueError:
        return []


def _quoted(json: str) -> list[str]:
    """Return what stands between the quotes of JSON, keys and values alike.

    An escaped backslash stands as NUL, and an escaped quote as U+0001, which JSON has
    in no text.
    """
    return json.replace("\\\\", "\0").replace('\\"', "\1").split('"')[1::2]


def _unquoted(quoted: str) -> str:
    if "\\" not in quoted and "\0" not in quoted and "\1" not in quoted:
        return quoted
    escaped = quoted.replace("\1", '\\"').replace("\0", "\\\\")
    text: str = json.loads(f'"{escaped}"')
    return text
