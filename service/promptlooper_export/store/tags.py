"""The runs of a config by their tags, to see whether a verdict holds for each."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from promptlooper_export.analysis.evidence import Sample
from promptlooper_export.configs import JSON
from promptlooper_export.store.evidence import MOST_RUNS, read_samples
from promptlooper_export.store.ranking import ScoreReader
from promptlooper_export.store.rows import json_value
from promptlooper_export.store.scoring import Rules
from promptlooper_export.verdicts import Tag

_MOST_TAGS = 100
"""How many tags of one run are looked at."""

_LONGEST = 200
"""The longest tag that is looked at, in characters."""

_TAGS = "SELECT id, tags FROM {runs} AS run WHERE id IN ({marks})"

Tags = Mapping[object, Mapping[str, Tag]]
"""The tags of runs by their text, by the runs' ids as stored."""


def read_tags(reader: ScoreReader, sample: Sample) -> Tags:
    """Return the tags of the first 2,000 runs of a config."""
    keys = sample.keys[:MOST_RUNS]
    marks = ", ".join("?" * len(keys))
    sql = _TAGS.format(runs=reader.catalog.runs, marks=marks)
    return {
        key: dict(_tags(json_value(text, "tags")[0]))
        for key, text in reader.session.all(sql, *keys)
    }


def common_tags(first: Tags, second: Tags) -> dict[str, Tag]:
    """Return the tags that runs of both have, those of the most runs first."""
    one, other = (_counts(tags) for tags in (first, second))
    found = {text: tag for tags in first.values() for text, tag in tags.items()}
    common = sorted(
        one.keys() & other.keys(), key=lambda text: (-one[text] - other[text], text)
    )
    return {text: found[text] for text in common}


def read_tagged(
    reader: ScoreReader, rules: Rules, tags: Tags, wanted: Collection[str]
) -> dict[str, Sample]:
    """Return what is known of a config by the runs with each of the wanted tags."""
    keys = [key for key, held in tags.items() if not held.keys().isdisjoint(wanted)]
    return read_samples(
        reader,
        rules,
        f"run.id IN ({', '.join('?' * len(keys))})",
        keys,
        lambda row: [text for text in wanted if text in tags[row.key]],
    )


def _counts(tags: Tags) -> Counter[str]:
    return Counter(text for held in tags.values() for text in held)


def _tags(stored: JSON) -> Iterator[tuple[str, Tag]]:
    if isinstance(stored, dict):
        found = [Tag(path=key, value=value) for key, value in stored.items()]
    elif isinstance(stored, list):
        found = [Tag(path="", value=value) for value in stored]
    else:
        return
    for tag in found[:_MOST_TAGS]:
        text = str(tag)
        if len(text) <= _LONGEST:
            yield text, tag
