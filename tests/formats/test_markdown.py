import json
import unicodedata
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.configs import NASTY, SIGNIFICANT, Config, configs, same, texts, values
from formats.markdown_reader import Section, sections
from formats.rendering import (
    MOMENT,
    RUN,
    experiment,
    ranked_run,
    render,
    report,
    won,
)
from promptlooper_export.configs import JSON
from promptlooper_export.documents import (
    Bin,
    Cost,
    Difference,
    Differences,
    Notice,
    Period,
    Report,
    RunCounts,
    ScorerStatistics,
    Timing,
    Tokens,
    Winner,
)
from promptlooper_formats.markdown import MARKDOWN

CLASSIC = [
    "Experiment Report: summaries",
    "Configuration Space",
    "Run Summary",
    "Top 5 Configurations",
    "Best Configuration Detail",
    "Score Distributions",
    "Token Usage",
    "Timing",
]

STATISTICS = ScorerStatistics(
    name="accuracy",
    direction="maximize",
    weight=0.75,
    required=True,
    values={
        "count": 4,
        "min": 0.1,
        "max": 0.9,
        "mean": 0.5,
        "standard_deviation": 0.25,
        "q1": 0.3,
        "median": 0.55,
        "q3": 0.7,
    },
    histogram=(
        Bin(low=0.1, high=0.3, count=0),
        Bin(low=0.3, high=0.6, count=1),
        Bin(low=0.6, high=0.9, count=8),
    ),
)

MARKUP = (
    "http://a.example", "www.a.example", "a@b.example", "[a](b)", "![a](b)", "<b>",
    "<!-- a -->", "&lt;", "&#10;", "**a**", "__a__", "a_b_c", "`a`", "~~a~~", "| a |",
    "\\|", "# a", "1. a", "- a", "---", "```", ":a:", "a: b", "R & D!",
)  # fmt: skip

markup = (
    texts
    | st.text(SIGNIFICANT + "()^\0\x07\x9f\ud800\u3000", max_size=12)
    | st.sampled_from(MARKUP)
)


def text(document: Report) -> str:
    return render(MARKDOWN, document).text


def section(document: Report, title: str) -> Section:
    return sections(text(document))[title]


def shown(written: str) -> str:
    """Return how a text appears: lines end with LF, control characters are visible."""
    lines = "\n".join(written.replace("\r\n", "\n").split("\r"))
    return "".join(
        f"\\u{ord(character):04x}"
        if unicodedata.category(character) in ("Cc", "Cs") and character not in "\t\n"
        else character
        for character in lines
    )


def full() -> Report:
    """Build a report in which every section has something to say."""
    first = ranked_run(
        weighted_score=0.91666,
        scores={"accuracy": 0.95, "f1_score": 0.8},
        tokens_in=1234567,
        tokens_out=890,
        duration_ms=2770,
        cost_usd=0.0125,
    )
    second = ranked_run(rank=2, weighted_score=0.75, scores={"accuracy": 0.75})
    return report(
        experiment=experiment(
            description="Which prompt is best?",
            parameter_space={
                "temperature": [0.0, 0.5],
                "model": {"choices": ["a", "b"]},
            },
        ),
        counts=RunCounts(
            total=1200, by_status={"completed": 1000, "failed": 200}, scored=2
        ),
        top=(first, second),
        winner=Winner(run=first, config={"temperature": 0.5}),
        differences=Differences(
            compared=1,
            parameters=(
                Difference(
                    path="temperature",
                    winner=0.5,
                    has_winner=True,
                    runner_up="0.5",
                    has_runner_up=True,
                    usual=None,
                    has_usual=False,
                    share=0.25,
                ),
            ),
        ),
        scorers=(STATISTICS,),
        tokens=Tokens(tokens_in=1234567, tokens_out=890),
        timing=Timing(
            count=1000,
            fastest=0.4,
            slowest=59_996,
            average=1500,
            median=999,
            p95=61_000,
            total=7_384_000,
        ),
        cost=Cost(count=1000, total=12.5, average=0.0125),
        history=(
            period(0, best=0.5, best_so_far=0.5, mean=0.25),
            period(1, best=0.5, best_so_far=0.5, mean=0.5),
            period(2, best=0.75, best_so_far=0.75, mean=0.75),
        ),
        warnings=(
            Notice(code="tie", message="Two runs are best."),
            Notice(code="repeated-key", message="It repeats 'k'.", path="a.k"),
        ),
    )


def period(number: int, *, best: float, best_so_far: float, mean: float) -> Period:
    start = MOMENT + timedelta(hours=number, microseconds=5)
    return Period(
        start=start,
        end=start + timedelta(hours=1),
        count=3,
        best=best,
        mean=mean,
        best_so_far=best_so_far,
    )


def test_classic_sections_keep_their_order_among_what_there_is_to_add() -> None:
    assert list(sections(text(full()))) == [
        CLASSIC[0],
        "Warnings",
        *CLASSIC[1:5],
        "What It Does Differently",
        "Score Over Time",
        *CLASSIC[5:],
        "Cost",
        "How It Was Chosen",
        "Where It Comes From",
    ]


def test_headings_are_the_classic_ones_to_the_letter() -> None:
    lines = text(report()).splitlines()

    assert [line for line in lines if line.startswith("#")] == [
        f"# {CLASSIC[0]}",
        *(f"## {title}" for title in CLASSIC[1:]),
    ]


def test_the_top_is_called_after_how_many_were_asked_for() -> None:
    assert "## Top 12 Configurations" in text(replace(full(), top_n=12)).splitlines()


def test_sections_without_data_say_so() -> None:
    found = sections(text(report()))

    assert found["Configuration Space"].lines == ["No parameter space defined."]
    for title in CLASSIC[3:6]:
        assert found[title].lines == ["No scored runs available."]
    assert found["Timing"].lines == ["No timing data available."]


@pytest.mark.parametrize("space", [None, {}, []])
def test_an_empty_parameter_space_is_none(space: JSON) -> None:
    document = report(experiment=experiment(parameter_space=space))

    assert section(document, "Configuration Space").lines == [
        "No parameter space defined."
    ]


def test_the_experiment_is_described_before_the_first_section() -> None:
    assert section(full(), CLASSIC[0]).lines[-4:] == [
        "Generated: 2026-01-02T03:04:05Z",
        "Experiment ID: 11111111-2222-4333-8444-555555555555",
        "Description: Which prompt is best?",
        "Status: completed",
    ]


def test_a_description_of_several_lines_keeps_them() -> None:
    description = "# Aim\n\n- one\n```\ntwo\n````"

    found = section(report(experiment=experiment(description=description)), CLASSIC[0])

    assert found.blocks == [f"{description}\n"]


def test_the_parameter_space_is_a_table_of_json() -> None:
    assert section(full(), "Configuration Space").tables == [
        [
            ["Parameter", "Values"],
            ["temperature", "[0.0, 0.5]"],
            ["model", '{"choices": ["a", "b"]}'],
        ]
    ]


def test_a_parameter_space_that_is_no_object_is_shown_whole() -> None:
    document = report(experiment=experiment(parameter_space=[{"name": "a"}]))

    (block,) = section(document, "Configuration Space").blocks

    assert json.loads(block) == [{"name": "a"}]


def test_runs_are_counted_in_all_by_status_and_scored() -> None:
    assert section(full(), "Run Summary").tables[0][1:] == [
        ["total", "1,200"],
        ["completed", "1,000"],
        ["failed", "200"],
        ["scored", "2"],
    ]


def test_the_top_shows_what_is_known_of_each_run() -> None:
    assert section(full(), "Top 5 Configurations").tables == [
        [
            [
                "Rank",
                "Run",
                "Weighted score",
                "accuracy",
                "f1_score",
                "Tokens in",
                "Tokens out",
                "Duration",
                "Cost (USD)",
                "Config hash",
            ],
            [
                "1",
                str(RUN),
                "0.9167",
                "0.9500",
                "0.8000",
                "1,234,567",
                "890",
                "2.77 s",
                "0.0125",
                "c0ffee",
            ],
            ["2", str(RUN), "0.7500", "0.7500", "", "", "", "", "", "c0ffee"],
        ]
    ]


def test_what_is_known_of_no_run_has_no_column() -> None:
    (table,) = section(won({}), "Top 5 Configurations").tables

    assert table[0] == ["Rank", "Run", "Weighted score", "accuracy", "Config hash"]


def test_a_zero_is_something_known() -> None:
    document = won({}, tokens_in=0, duration_ms=0, cost_usd=0.0)

    found = section(document, "Top 5 Configurations")

    assert found.column("Tokens in") == ["0"]
    assert found.column("Duration") == ["0 ms"]
    assert found.column("Cost (USD)") == ["0.0000"]


@pytest.mark.parametrize(
    ("score", "written"),
    [
        (0.0, "0.0000"),
        (-0.5, "-0.5000"),
        (1.0, "1.000"),
        (0.00004, "4e-05"),
        (1523.25, "1,523"),
        (1.5e12, "1.5e+12"),
        (-1e300, "-1e+300"),
    ],
)
def test_a_score_is_written_to_four_digits(score: float, written: str) -> None:
    document = won({}, weighted_score=score)

    found = section(document, "Top 5 Configurations")

    assert found.column("Weighted score") == [written]


def test_the_winner_is_shown_with_scores_and_config() -> None:
    found = section(full(), "Best Configuration Detail")

    assert found.lines[:3] == [
        f"Run ID: {RUN}",
        "Config hash: c0ffee",
        "Weighted score: 0.9167",
    ]
    assert found.tables[0][1:] == [["accuracy", "0.9500"], ["f1_score", "0.8000"]]
    assert found.blocks == ['{\n  "temperature": 0.5\n}\n']


def test_what_the_winner_does_differently_is_a_table() -> None:
    found = section(full(), "What It Does Differently")

    assert found.lines == [
        "From the runner-up, and from what is usual among the next best runs (1)."
    ]
    assert found.tables[0][1:] == [["temperature", "0.5", '"0.5"', "not set", "25 %"]]


def test_a_winner_that_does_nothing_differently_is_said_to() -> None:
    document = replace(full(), differences=Differences(compared=7, parameters=()))

    assert section(document, "What It Does Differently").lines == [
        "Nothing: its parameters are those of the next best runs (7)."
    ]


def test_a_winner_without_a_valid_config_is_still_shown() -> None:
    document = won(None, scores={"a": 1.0})

    found = section(document, "Best Configuration Detail")

    assert found.tables == [[["Scorer", "Score"], ["a", "1.000"]]]
    assert found.lines[3:] == ["Its stored config is not valid JSON, see Warnings."]


def test_a_scorer_has_a_line_with_its_statistics_and_a_histogram() -> None:
    (table,) = section(full(), "Score Distributions").tables

    assert dict(zip(*table, strict=True)) == {
        "Scorer": "accuracy",
        "Direction": "maximize",
        "Required": "yes",
        "Weight": "0.75",
        "Count": "4",
        "Min": "0.1000",
        "Q1": "0.3000",
        "Median": "0.5500",
        "Q3": "0.7000",
        "Max": "0.9000",
        "Mean": "0.5000",
        "Standard deviation": "0.2500",
        "Histogram": "·▁█",
    }


def test_statistics_that_one_scorer_lacks_and_new_ones_are_shown_too() -> None:
    single = replace(
        STATISTICS,
        name="speed",
        direction="minimize",
        required=False,
        weight=None,
        values={"count": 1, "min": 2.0, "99th_percentile": 5.0},
        histogram=(Bin(low=2.0, high=2.0, count=1),),
    )

    found = section(report(scorers=(STATISTICS, single)), "Score Distributions")

    assert found.column("Direction") == ["maximize", "minimize"]
    assert found.column("Required") == ["yes", "no"]
    assert found.column("Weight") == ["0.75", ""]
    assert found.column("Mean") == ["0.5000", ""]
    assert found.column("99th percentile") == ["", "5.000"]
    assert found.column("Histogram") == ["·▁█", "█"]


def test_tokens_have_thousands_separators() -> None:
    assert section(full(), "Token Usage").tables[0][1:] == [
        ["in", "1,234,567"],
        ["out", "890"],
        ["total", "1,235,457"],
    ]


def test_times_are_in_units_that_suit_them() -> None:
    assert section(full(), "Timing").tables == [
        [
            ["Completed runs: 1,000", "Duration"],
            ["fastest", "0 ms"],
            ["average", "1.50 s"],
            ["median", "999 ms"],
            ["95th percentile", "1 min 1 s"],
            ["slowest", "1 min 0 s"],
            ["total", "2 h 3 min"],
        ]
    ]


@pytest.mark.parametrize(
    ("milliseconds", "written"),
    [
        (999, "999 ms"),
        (999.6, "1.00 s"),
        (59_990, "59.99 s"),
        (59_999, "1 min 0 s"),
        (3_599_400, "59 min 59 s"),
        (3_599_999, "1 h 0 min"),
        (7_200_000_000, "83 d 8 h"),
    ],
)
def test_no_duration_is_a_whole_one_of_the_next_unit(
    milliseconds: float, written: str
) -> None:
    timing = Timing(
        count=1,
        fastest=milliseconds,
        slowest=milliseconds,
        average=milliseconds,
        median=milliseconds,
        p95=milliseconds,
        total=milliseconds,
    )

    found = section(report(timing=timing), "Timing")

    assert found.column("Duration") == [written] * 6


def test_cost_is_shown_where_it_is_known() -> None:
    assert section(full(), "Cost").tables == [
        [
            ["Runs with a cost: 1,000", "USD"],
            ["average", "0.0125"],
            ["total", "12.50"],
        ]
    ]


def test_only_new_bests_are_listed_over_time() -> None:
    found = section(full(), "Score Over Time")

    assert found.lines == [
        "The best score rose from 0.5000 to 0.7500 in 1 step over 9 runs.",
        "Mean weighted score from 2 Jan 2026, 03:04 UTC to 2 Jan 2026, 06:04 UTC: ▁▅█",
    ]
    assert found.tables[0][1:] == [
        ["2 Jan 2026, 03:04 UTC", "0.5000", "0.2500", "3"],
        ["2 Jan 2026, 05:04 UTC", "0.7500", "0.7500", "3"],
    ]


def test_a_score_that_never_changes_is_a_level_line() -> None:
    history = tuple(
        period(number, best=0.5, best_so_far=0.5, mean=0.5) for number in range(3)
    )

    found = section(report(history=history), "Score Over Time")

    assert found.lines[1].endswith(": ▁▁▁")
    assert len(found.tables[0]) == 2


def test_a_single_period_has_no_course() -> None:
    history = (period(0, best=0.5, best_so_far=0.5, mean=0.5),)

    assert "Score Over Time" not in sections(text(report(history=history)))


def test_warnings_name_their_code_and_place() -> None:
    assert section(full(), "Warnings").lines == [
        "tie: Two runs are best.",
        "repeated-key at a.k: It repeats 'k'.",
    ]


def test_tables_line_up_as_plain_text() -> None:
    tables = [
        block.splitlines()
        for block in text(full()).split("\n\n")
        if block.startswith("|")
    ]

    assert len(tables) == 10
    for table in tables:
        assert len({len(line) for line in table}) == 1


def test_names_of_several_words_can_be_read_as_plain_text() -> None:
    document = won({}, scores={"exact_match": 1.0, "tokens: used": 0.5})

    assert "| exact_match  |" in text(document)
    assert "| tokens: used |" in text(document)


# What CommonMark leaves alone, but GitHub or other readers do not.
@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("http://a.example", "http&#58;//a.example"),
        ("WWW.a.example", "WWW&#46;a.example"),
        ("a@b.example", "a&#64;b.example"),
        (":smile:", "&#58;smile:"),
        ("_a_", "&#95;a&#95;"),
        ("$a$", "&#36;a&#36;"),
        ('"a"', "&#34;a&#34;"),
    ],
)
def test_what_only_some_readers_take_for_markup_is_written_as_entities(
    name: str, written: str
) -> None:
    lines = text(report(experiment=experiment(name=name))).splitlines()

    assert lines[0] == f"# Experiment Report: {written}"


def test_no_tag_is_written_as_code_in_a_table() -> None:
    document = report(experiment=experiment(parameter_space={"k": "</td>"}))

    assert "</td>" not in text(document)
    assert section(document, "Configuration Space").column("Values") == ['"</td>"']


def test_a_long_value_does_not_widen_its_whole_column() -> None:
    space: dict[str, JSON] = {"a": ["x" * 5000], "b": 1}

    lines = text(report(experiment=experiment(parameter_space=space))).splitlines()

    (short,) = (line for line in lines if line.startswith("| b"))
    assert len(short) < 120


@pytest.mark.parametrize("name", NASTY)
def test_a_nasty_config_reads_back_identically(name: str) -> None:
    (block,) = section(won(NASTY[name]), "Best Configuration Detail").blocks

    assert same(json.loads(block), NASTY[name])


@settings(deadline=None)
@given(configs)
def test_any_config_reads_back_identically(config: Config) -> None:
    (block,) = section(won(config), "Best Configuration Detail").blocks

    assert same(json.loads(block), config)


@settings(deadline=None)
@given(markup.filter(bool))
def test_any_name_is_shown_as_it_is_and_does_nothing(name: str) -> None:
    document = won({}, scores={name: 0.5}, config_hash=name)
    document = replace(
        document,
        experiment=experiment(name=name, status=name, parameter_space={name: 1}),
        warnings=(Notice(code=name, message=name, path="k"),),
    )

    title, found = next(iter(sections(text(document)).items()))
    others = sections(text(document))

    assert title == f"Experiment Report: {shown(name)}"
    assert found.lines[-1] == f"Status: {shown(name)}"
    assert others["Configuration Space"].column("Parameter") == [shown(name)]
    assert others["Best Configuration Detail"].column("Scorer") == [shown(name)]
    assert others["Top 5 Configurations"].column("Config hash") == [shown(name)]
    assert others["Warnings"].lines == [f"{shown(name)} at k: {shown(name)}"]


@settings(deadline=None)
@given(markup)
def test_any_description_is_shown_as_it_is_and_does_nothing(description: str) -> None:
    found = section(report(experiment=experiment(description=description)), CLASSIC[0])

    if "\n" in shown(description):
        assert found.blocks == [f"{shown(description)}\n"]
    else:
        assert f"Description: {shown(description) or 'none'}" in found.lines


@settings(deadline=None)
@given(values | markup)
def test_any_parameter_reads_back_identically(value: JSON) -> None:
    document = report(experiment=experiment(parameter_space={"k": value}))

    (cell,) = section(document, "Configuration Space").column("Values")

    assert same(json.loads(cell), value)
