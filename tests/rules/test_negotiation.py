import sys
from typing import Any

import mediaparse
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlooper_export.negotiation import Offer, choose, is_textual

OFFERS = (
    Offer(name="json", media_types=("application/json",)),
    Offer(name="env", media_types=("text/plain", "application/x-dotenv")),
    Offer(
        name="yaml",
        media_types=("application/yaml", "text/yaml", "application/x-yaml"),
    ),
    Offer(name="markdown", media_types=("text/markdown",)),
    Offer(name="html", media_types=("text/html",)),
    Offer(
        name="report-json", media_types=("application/vnd.promptlooper.report+json",)
    ),
    Offer(name="csv", media_types=("text/csv",)),
    Offer(
        name="ndjson",
        media_types=("application/x-ndjson", "application/jsonl", "application/ndjson"),
    ),
    Offer(name="parquet", media_types=("application/vnd.apache.parquet",)),
)
REPORT_JSON = "application/vnd.promptlooper.report+json"
PARQUET = "application/vnd.apache.parquet"

# One case a line: what is expected, `<`, the header. `json` and the like stand for the
# canonical type, a name with a slash for that type, `-` for nothing acceptable.
CASES = r"""
any type will do: the field is empty
json <
json <  
json < ,
json < , ,
json < */*
json < */*;q=1
json < */*;q=0.001
json < ,*/*
json < */*,
json < application/*
json < */*, */*

one type
json < application/json
env < text/plain
yaml < application/yaml
markdown < text/markdown
html < text/html
report-json < application/vnd.promptlooper.report+json
csv < text/csv
ndjson < application/x-ndjson
parquet < application/vnd.apache.parquet
csv < TEXT/CSV
csv < Text/Csv
- < text/comma
- < text
- < image/png
- < image/*
- < application/xml
- < application/jso
- < application/jsonx
- < xapplication/json

an alias is sent as itself, and only where it is named
text/yaml < text/yaml
application/x-yaml < application/x-yaml
application/x-yaml < APPLICATION/X-YAML
application/x-dotenv < application/x-dotenv
application/jsonl < application/jsonl
application/ndjson < application/ndjson
env < text/*
- < text/*;q=0, text/markdown;q=0
yaml < text/yaml;q=0.5, application/yaml
text/yaml < text/yaml, application/yaml;q=0.5
text/yaml < text/yaml, application/yaml
yaml < application/yaml, text/yaml
text/yaml < application/yaml;q=0, text/yaml
yaml < text/yaml;q=0, application/yaml
json < text/yaml;q=0, */*
text/yaml < text/yaml, */*
json < text/yaml;q=0.5, */*
env < text/yaml;q=0.5, text/*
application/jsonl < application/jsonl;q=0.7, application/x-ndjson;q=0.6
application/jsonl < application/ndjson;q=0.1, application/jsonl;q=0.2

weights
csv < text/csv;q=0.9, application/json;q=0.8
json < text/csv;q=0.8, application/json;q=0.9
csv < application/json;q=0.8, text/csv
csv < application/json;q=0.999, text/csv
csv < application/json;q=0.998, text/csv;q=0.999
csv < application/json;q=0.1, text/csv;q=0.2, text/html;q=0.05
csv < application/json;q=0.09, text/csv;q=0.1
csv < application/json;q=0, text/csv;q=0.001
csv < text/csv;q=1
csv < text/csv;q=1.
csv < text/csv;q=1.0
csv < text/csv;q=1.00
csv < text/csv;q=1.000
csv < text/csv;q=0.5
csv < text/csv;q=0.05
csv < text/csv;q=0.005
csv < text/csv;Q=0.5
csv < text/csv; q=0.5
csv < text/csv ;q=0.5
csv < text/csv ; q=0.5
json < text/csv;Q=0.5, application/json;Q=0.6
- < text/csv;q=0
- < text/csv;q=0.
- < text/csv;q=0.0
- < text/csv;q=0.00
- < text/csv;q=0.000
- < */*;q=0
- < */*;q=0.
- < text/csv;q=0, application/json;q=0
html < text/csv;q=0.3, text/html;q=0.7, text/plain;q=0.3
csv < text/csv;q=1., application/json;q=1.000, */*;q=0.1

specificity beats weight and place
json < text/*;q=0.3, */*;q=0.5
env < text/*;q=0.5, */*;q=0.3
csv < text/*;q=0.3, text/csv;q=0.7, */*;q=0.5
csv < text/csv;q=0.7, text/*;q=0.3, */*;q=0.5
csv < */*;q=0.5, text/csv;q=0.7, text/*;q=0.3
env < text/*, text/csv;q=0.5
env < text/csv;q=0.5, text/*
json < */*, text/csv;q=0.5
json < text/csv;q=0.9, */*
yaml < application/json;q=0.5, */*, text/*;q=0.5
yaml < application/json;q=0.5, application/*
env < application/json;q=0.5, */*
env < application/json;q=0, */*
env < application/*;q=0, */*
json < text/*;q=0, */*
json < text/*;q=0, */*;q=0.1
csv < */*;q=0, text/csv
csv < text/*;q=0, text/csv;q=0.1
env < */*;q=0, text/*;q=0.1
markdown < text/plain;q=0, text/*
html < text/plain;q=0, text/markdown;q=0, text/*
csv < text/plain;q=0, text/markdown;q=0, text/html;q=0, text/*
- < text/plain;q=0, text/markdown;q=0, text/html;q=0, text/csv;q=0, text/*
yaml < application/json;q=0, application/*
report-json < application/*, application/json;q=0, application/yaml;q=0
parquet < application/vnd.apache.parquet;q=0.2, application/*;q=0.1
json < application/vnd.apache.parquet;q=0.1, application/*;q=0.2

equal weights: the more exact range, then the client's order
csv < text/csv, */*
csv < */*, text/csv
csv < text/*, text/csv
csv < text/csv, text/*
env < */*, text/*
env < text/*, */*
csv < text/csv, application/json
json < application/json, text/csv
html < text/html, text/csv, application/json
parquet < application/vnd.apache.parquet, application/json
markdown < text/markdown, text/html, */*
csv < application/*, text/csv
csv < text/csv;q=0.5, application/*;q=0.5
env < text/*;q=0.5, application/*;q=0.5
json < application/*;q=0.5, text/*;q=0.5
csv < text/csv, text/csv;q=0.5, application/json
json < text/csv;q=0.5, application/json, text/csv;q=0.9
csv < text/csv;q=0.5, application/json, text/csv, text/csv;charset=utf-8
csv < application/json, text/csv;charset=utf-8
json < application/json;charset=utf-8, text/csv;charset=utf-8

parameters: all of the range's must be ours
csv < text/csv;charset=utf-8
csv < text/csv; charset=utf-8
csv < text/csv;charset=UTF-8
csv < text/csv;CHARSET=Utf-8
csv < text/csv;charset="utf-8"
csv < text/csv;charset="UTF-8"
csv < text/csv;charset="utf\-8"
csv < text/csv;charset=utf-8;q=0.5
csv < text/csv;q=0.5;charset=utf-8
csv < text/csv;charset=utf-8;charset=utf-8
json < application/json;charset=utf-8
json < application/json; charset=utf-8
json < application/json;charset="utf-8"
yaml < application/yaml;charset=utf-8
text/yaml < text/yaml;charset=utf-8
application/x-dotenv < application/x-dotenv;charset=utf-8
application/jsonl < application/jsonl;charset=utf-8
ndjson < application/x-ndjson;charset=utf-8
report-json < application/vnd.promptlooper.report+json;charset=utf-8
env < text/*;charset=utf-8
json < */*;charset=utf-8
json < application/*;charset=utf-8
- < application/vnd.apache.parquet;charset=utf-8
- < text/csv;charset=utf8
- < text/csv;charset=latin1
- < text/csv;charset=iso-8859-1
- < text/csv;charset=""
- < text/csv;header=absent;q=0.9
csv < text/csv;charset=utf-8;header=present
csv < text/csv; header=present
csv < text/csv; HEADER="Present"
csv < text/*;header=present
csv < application/json;q=0.5, text/csv;header=present
json < application/json, text/csv;header=present;q=0.5
- < text/csv;header=present;q=0, text/csv
- < text/csv;header=absent
- < application/json;header=present
- < text/csv;q=0.8;ext=1
- < text/csv;level=1
- < text/*;level=1
- < */*;level=1
- < application/json;version=1
- < application/json;indent=2
- < text/csv;q*=UTF-8''0.9
- < text/csv;charset=utf-16, application/json;profile=x
json < text/csv;header=absent, application/json
json < text/csv;charset=utf-8;q=0.3, application/json;q=0.5
csv < text/csv;charset=utf-8;q=0.5, text/csv;q=0.1, application/json;q=0.3
json < text/csv;charset=utf-8;q=0.1, text/csv;q=0.5, application/json;q=0.3
- < text/csv;charset=utf-8;q=0, text/csv
csv < text/csv;charset=utf-8, text/csv;q=0
env < text/*;charset=utf-8;q=0.5, text/*;q=0.1, */*;q=0.3
csv < text/*;charset=utf-8, text/csv;q=0.5, text/plain;q=0, text/markdown;q=0, text/html;q=0
json < text/csv;header=absent;q=1, */*;q=0.1
csv < text/csv;header=present;q=1, */*;q=0.1
csv < text/csv;level=1;q=0, text/csv

suffixes are no wildcards
- < application/*+json
- < application/json+json
- < application/vnd.foo+json
- < application/problem+json
- < text/*+csv
- < */*+json
- < application/+json

white space and empty members
csv <  text/csv
csv < text/csv ,
csv < , text/csv
csv < ,,text/csv,,
csv <   ,  text/csv  ,  ,
csv < text/csv;
csv < text/csv;;
csv < text/csv; ;
csv < text/csv;;q=1
csv < text/csv;;;q=0.1;;
csv < text/csv ; ; charset=utf-8 ; ; q=0.1 ;
csv < 	text/csv	;	q=1	,	image/png
json < text/csv;q=0.5,application/json
json < text/csv;q=0.5 ,application/json

malformed members are ignored, the others count
json < text, application/json
json < text/csv;q=, application/json;q=0.1
json < text/csv;q, application/json;q=0.1
json < text/csv;q =1, application/json;q=0.1
json < text/csv;q= 1, application/json;q=0.1
json < text/csv;q=01, application/json;q=0.1
json < text/csv;q=00, application/json;q=0.1
json < text/csv;q=.5, application/json;q=0.1
json < text/csv;q=., application/json;q=0.1
json < text/csv;q=2, application/json;q=0.1
json < text/csv;q=1.1, application/json;q=0.1
json < text/csv;q=1.001, application/json;q=0.1
json < text/csv;q=-0.5, application/json;q=0.1
json < text/csv;q=+0.5, application/json;q=0.1
json < text/csv;q=0.1234, application/json;q=0.1
json < text/csv;q=1.0000, application/json;q=0.1
json < text/csv;q=0,5, application/json;q=0.1
json < text/csv;q=1e0, application/json;q=0.1
json < text/csv;q=nan, application/json;q=0.1
json < text/csv;q=inf, application/json;q=0.1
json < text/csv;q="0.5", application/json;q=0.1
json < text/csv;q="1", application/json;q=0.1
json < text/csv;q=1;q=1, application/json;q=0.1
json < text/csv;q=0.5;Q=0.6, application/json;q=0.1
json < text/csv q=1, application/json;q=0.1
json < text/csv charset=utf-8, application/json;q=0.1
json < text/csv;charset, application/json;q=0.1
json < text/csv;charset=, application/json;q=0.1
json < text/csv;=utf-8, application/json;q=0.1
json < text/csv;charset=utf-8 x, application/json;q=0.1
json < text/csv;charset="utf-8"x, application/json;q=0.1
json < text/csv;charset= utf-8, application/json;q=0.1
json < text/csv;x=a/b, application/json;q=0.1
json < text /csv, application/json;q=0.1
json < text/ csv, application/json;q=0.1
json < text/csv/x, application/json;q=0.1
json < text/, application/json;q=0.1
json < /csv, application/json;q=0.1
json < /, application/json;q=0.1
json < ;q=1, application/json;q=0.1
json < *, application/json;q=0.1
json < */csv, application/json;q=0.1
json < *; q=.2, application/json;q=0.1
json < "text/csv", application/json;q=0.1
json < "text/csv;q=0.9", application/json;q=0.1
json < text/(csv), application/json;q=0.1
json < text@csv, application/json;q=0.1
json < té/csv, application/json;q=0.1
json < text\csv, application/json;q=0.1
- < text/csv;q=2
- < text
- < *
- < */csv
- < "text/csv"
- < *; q=.2

quoted strings
json < text/csv;x="a,b", application/json;q=0.1
json < text/csv;x="a;b", application/json;q=0.1
json < text/csv;x="\"", application/json;q=0.1
json < text/csv;x="\",text/html,\"", application/json;q=0.1
json < text/csv;x="é", application/json;q=0.1
yaml < application/yaml, text/csv;x="open
yaml < application/yaml;q=0.1, text/csv;x="open, application/json
- < text/csv;x="open, application/json
- < text/csv;x="open\
html < text/csv;x="",text/html

what clients send
html < text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7
html < text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8
html < text/html, image/gif, image/jpeg, */*; q=0.2
html < text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2
json < application/json, text/plain, */*
json < application/json, */*;q=0.5
json < application/json, text/javascript, */*; q=0.01
markdown < text/markdown, text/html, */*
markdown < text/markdown, text/plain;q=0.9, */*;q=0.1
json < image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8
csv < text/csv, */*;q=0.1
"""  # noqa: E501, W291  headers are as long and as blank as clients make them


def cases() -> list[tuple[str, str]]:
    lines = (line.partition(" <") for line in CASES.splitlines())
    return [(header[1:], expected) for expected, mark, header in lines if mark]


@pytest.mark.parametrize(("accept", "expected"), cases())
def test_the_header_chooses(accept: str, expected: str) -> None:
    choice = choose(accept, OFFERS)
    canonical = {offer.name: offer.media_types[0] for offer in OFFERS}
    assert choice.media_type == (
        None if expected == "-" else canonical.get(expected, expected)
    )
    assert (choice.offer is None) == (expected == "-")
    assert choice.offer is None or choice.media_type in choice.offer.media_types


def test_the_table_has_more_than_two_hundred_cases() -> None:
    assert len(cases()) > 200


def test_an_absent_field_means_the_first_offer() -> None:
    assert choose(None, OFFERS).media_type == "application/json"
    assert choose(None, OFFERS[2:]).media_type == "application/yaml"


@pytest.mark.parametrize(
    ("accept", "malformed"),
    [
        ("text", "text"),
        ("image/png, text/csv;q=2 , *", "text/csv;q=2"),
        ('image/png, text/csv;x="a,b', 'text/csv;x="a,b'),
        ("image/png", None),
        ("text/csv, */csv", "*/csv"),
    ],
)
def test_the_first_malformed_member_is_reported(
    accept: str, malformed: str | None
) -> None:
    assert choose(accept, OFFERS).malformed == malformed


def test_at_least_thirty_one_ranges_count() -> None:
    others = ", ".join(f"image/x{number}" for number in range(30))
    assert choose(f"{others}, text/csv", OFFERS).media_type == "text/csv"


@pytest.mark.parametrize(
    "hostile",
    [
        '"' * 8190,
        'a/b;x="' + "\\" * 8180,
        "a/b" + ";" * 8180,
        "a/b;" + " " * 8180,
        "text/csv" + '; x="\\' * 1300,
        ",;" * 4095,
        "a/a," * 2047,
        "a" * 8190,
        "*/*;q=0.1," * 819,
        "".join(f"text/csv;x={number}," for number in range(500)),
    ],
)
def test_twice_as_long_a_hostile_header_takes_at_most_about_twice_the_steps(
    hostile: str,
) -> None:
    assert steps(hostile) <= 2.5 * steps(hostile[: len(hostile) // 2]) + 100


def steps(accept: str) -> int:
    """Return how many lines of Python run to choose."""
    taken = 0

    def count(*_: object) -> Any:  # noqa: ANN401  the type of a trace function
        nonlocal taken
        taken += 1
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        choose(accept, OFFERS)
    finally:
        sys.settrace(before)
    return taken


TYPES = [*(name for offer in OFFERS for name in offer.media_types), "image/png"]
RANGES = st.sampled_from([*TYPES, "text/*", "application/*", "image/*", "*/*"])
CHARSETS = st.sampled_from(["", ";charset=utf-8", ";charset=UTF-8", ";charset=ascii"])
WEIGHTS = st.sampled_from(["", ";q=0", ";q=0.25", ";q=0.5", ";q=0.75", ";q=1"])
MEMBERS = st.builds("{}{}{}".format, RANGES, CHARSETS, WEIGHTS)
HEADERS = st.lists(
    MEMBERS,
    min_size=1,
    max_size=6,
    unique_by=lambda member: member.split(";q")[0].lower(),
)


def weight(members: list[str], media_type: str) -> float:
    """Ask the oracle how much the client likes a type."""
    charset = ";charset=utf-8" if is_textual(media_type) else ""
    return mediaparse.quality(",".join(members), media_type + charset)


@given(HEADERS)
def test_the_choice_has_the_highest_weight_by_an_independent_reading(
    members: list[str],
) -> None:
    canonical = [offer.media_types[0] for offer in OFFERS]
    named = [name for name in TYPES[:-1] if any(m.startswith(name) for m in members)]
    best = max(weight(members, name) for name in {*canonical, *named})
    chosen = choose(",".join(members), OFFERS).media_type
    assert (weight(members, chosen) if chosen else 0) == best


@given(HEADERS, st.randoms())
def test_the_order_of_members_changes_no_weight(
    members: list[str], random: object
) -> None:
    shuffled = sorted(members, key=lambda _: random.random())  # type: ignore[attr-defined]
    first = choose(",".join(members), OFFERS).media_type
    second = choose(",".join(shuffled), OFFERS).media_type
    assert (first is None) == (second is None)
    assert first is None or weight(members, first) == weight(members, str(second))


@given(st.lists(MEMBERS, min_size=1, max_size=6), RANGES, CHARSETS)
def test_a_refusal_never_makes_a_format_acceptable(
    members: list[str], refused: str, charset: str
) -> None:
    for offer in OFFERS:
        before = choose(",".join(members), [offer])
        after = choose(",".join([*members, f"{refused}{charset};q=0"]), [offer])
        assert before.offer is not None or after.offer is None


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=60))
def test_whatever_the_header_is_the_result_is_an_offer_or_nothing(accept: str) -> None:
    choice = choose(accept, OFFERS)
    assert (choice.offer is None) == (choice.media_type is None)
    assert choice.offer is None or choice.media_type in choice.offer.media_types


@given(st.text(alphabet='at/*;,q=01."\\ \t', max_size=40))
def test_whatever_the_punctuation_is_the_other_members_still_count(junk: str) -> None:
    assert choose(f"text/csv;charset=utf-8, {junk}", OFFERS).offer is not None
