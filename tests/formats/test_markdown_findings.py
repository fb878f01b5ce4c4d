import re
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from formats.findings import full, prompt
from formats.markdown_reader import Section, sections
from formats.rendering import RUN, ranked_run, render
from formats.test_html import HOSTILE
from formats.test_markdown import MARKUP
from promptlooper_export.documents import Difference, Differences, Report, Winner
from promptlooper_formats.markdown import MARKDOWN

TITLES = [
    "Experiment Report: terse",
    "Warnings",
    "Against Another Experiment",
    "Configuration Space",
    "Run Summary",
    "Top 5 Configurations",
    "Best Configuration Detail",
    "Prompts",
    "What It Does Differently",
    "The Next Best Configs",
    "Score Over Time",
    "All Scores",
    "Winner Against Runner-up by Case",
    "Trade-offs",
    "Why It Won",
    "Failures",
    "Score Distributions",
    "Missing Scores",
    "Token Usage",
    "Timing",
    "Cost",
    "How It Was Chosen",
    "Weights That Would Change It",
    "Where It Comes From",
]
"""The sections, in the order of the HTML report as far as the classic ones allow it."""

NOTE = re.compile(r"Left out to stay within ([\d,]+) bytes: (.+)\.\Z")


def read(document: Report, **options: int) -> dict[str, Section]:
    return sections(render(MARKDOWN, document, **options).text)


TERSE = read(full("terse"))


def test_every_finding_has_a_section() -> None:
    assert list(TERSE) == TITLES


def test_the_verdict_comes_first() -> None:
    assert TERSE[TITLES[0]].lines[:5] == [
        "Winner: terse, run aaaaaaaa",
        (
            "Score: 0.7500 (its config: mean 0.7500, 95 % interval 0.6250 to 0.8750, "
            "12 cases)"
        ),
        "Against the runner-up: Better, +0.2500, interval +0.1250 to +0.3750",
        "Still running: 2 runs to come",
        (
            "May I deploy it? Yes: the data show that it is better than the "
            "runner-up. 2 runs are still to come and may change it."
        ),
    ]


def test_the_best_runs_have_names_and_the_parameters_in_which_they_differ() -> None:
    found = TERSE["Top 5 Configurations"]

    assert found.column("Name") == ["terse", "terse"]
    assert found.column("terse") == ['"terse"', "not set"]


def test_a_parameter_whose_name_ends_with_a_colon_keeps_it() -> None:
    (table, *_) = read(full("a:"))["Top 5 Configurations"].tables

    assert "a:" in table[0]


def test_a_table_has_room_for_six_parameters_and_six_scorers() -> None:
    scores = {f"scorer {place}": 0.5 for place in range(8)}
    run = ranked_run(scores=scores)
    document = replace(full("terse"), top=(run,), top_parameters=())

    found = read(document)["Top 5 Configurations"]

    assert sum(title in scores for title in found.tables[0][0]) == 6
    assert found.lines == [
        "Not in the table: 2 further scorers (scorer 6 and scorer 7)."
    ]


def test_prompts_keep_their_line_breaks() -> None:
    assert TERSE["Prompts"].lines == ["The text prompt:"]
    assert TERSE["Prompts"].blocks == [f"{prompt('terse', 'three')}\n"]


def test_seeds_are_no_difference_and_prompts_are_compared_word_by_word() -> None:
    found = TERSE["What It Does Differently"]

    assert found.lines[0].endswith("because they only tell runs apart: seed.")
    assert found.column("Parameter") == ["terse", "prompt"]
    assert found.blocks == [
        (
            "  You answer questions about terse.\n"
            "  \n"
            "  Answer in \n"
            "- nine\n"
            "+ three\n"
            "   short sentences, please.\n"
        )
    ]


def test_changes_with_few_words_between_them_are_one_change() -> None:
    change = Difference(
        path="prompt",
        winner=f"{'Say it ' * 12}in two short words.",
        has_winner=True,
        runner_up=f"{'Say it ' * 12}with ten short lines!",
        has_runner_up=True,
        usual=None,
        has_usual=False,
        share=0.5,
    )
    document = replace(
        full("terse"),
        differences=Differences(compared=1, parameters=(change,)),
        rivals=(),
    )

    (block,) = read(document)["What It Does Differently"].blocks

    assert block.splitlines()[1:] == [
        "- with ten short lines!",
        "+ in two short words.",
    ]


def test_the_cases_that_differ_most_are_listed() -> None:
    found = TERSE["Winner Against Runner-up by Case"]

    assert found.lines == [
        (
            "Of 12 cases that both judged, the winner is ahead on 10, behind on 1 and "
            "equal on 1."
        ),
        "The 10 cases that differ most; 5 others not shown.",
    ]
    assert found.column("Winner") == ["0.7500"] * 10


def test_the_scores_of_all_runs_are_drawn_with_the_winner() -> None:
    assert TERSE["All Scores"].tables[0][1:] == [
        ["-0.2500 to 0.2500", "0", ""],
        ["0.2500 to 0.7500", "5", f"{'█' * 20} winner"],
    ]


def test_failed_runs_say_whether_a_retry_may_help() -> None:
    assert TERSE["Failures"].tables[0][1:] == [["2", "terse", "may help", str(RUN)]]


def test_another_experiment_is_compared_by_config_and_tag() -> None:
    found = TERSE["Against Another Experiment"]

    assert found.lines[0] == "Against terse: It is better than terse."
    assert found.column("Parameter") == ["terse", "prompt"]
    assert "- nine\n+ three\n" in found.blocks[0]
    assert found.column("Verdict", table=1) == ["Better"]


def shape(found: dict[str, Section]) -> list[tuple[int, list[list[int]], int]]:
    """Return how much each section holds, whatever it says."""
    return [
        (len(one.lines), [[len(row) for row in table] for table in one.tables],
         len(one.blocks))
        for one in found.values()
    ]  # fmt: skip


@pytest.mark.parametrize("text", [*MARKUP, *HOSTILE[::7]])
def test_what_the_database_holds_changes_no_section(text: str) -> None:
    found = read(full(text))

    assert list(found)[1:] == TITLES[1:]
    assert shape(found) == shape(TERSE)


LONG = {
    "letters": "x",
    "bytes": "\N{GRINNING FACE}",
    "entities": "*",
    "controls": "\0",
    "fences": "`",
}
SCORES = st.sampled_from([0.75, 1.5, -1e300, 1.797e308, 123_456_789.5, 1e-300])


@settings(deadline=None, max_examples=15)
@given(
    st.sampled_from(list(LONG)),
    st.sampled_from([1, 30, 400]),
    SCORES,
    st.integers(500, 5_000) | st.sampled_from([20_000, 65_536, 1 << 20]),
)
@example("controls", 400, -1.234e300, 500)
@example("letters", 5, 0.75, 500)
def test_no_report_is_longer_than_it_may_be(
    letter: str, length: int, score: float, max_bytes: int
) -> None:
    document = full(LONG[letter] * length, score=score)

    body = render(MARKDOWN, document, max_bytes=max_bytes).body

    whole = list(read(document).values())
    assert len(body) <= max_bytes
    found = sections(body.decode())
    note = NOTE.match(list(found.values())[-1].lines[-1])
    if note is None:
        assert list(found.values()) == whole
        return
    list(found.values())[-1].lines.pop()
    title, *others = found
    assert title.startswith("Experiment Report: ")
    assert found[title].lines[0].startswith("Winner: ")
    assert found[title].lines[2].startswith("Against the runner-up: Better, +0.25")
    for one in others:
        kept, complete = found[one], whole[TITLES.index(one)]
        assert (kept.lines, kept.tables) == (complete.lines, complete.tables)
        assert kept.blocks == complete.blocks or "the config as JSON" in note[2]


def test_what_has_no_room_is_named() -> None:
    whole = render(MARKDOWN, full("terse")).body

    found = read(full("terse"), max_bytes=len(whole) - 1)

    assert "Where It Comes From" not in found
    assert list(found.values())[-1].lines[-1] == (
        f"Left out to stay within {len(whole) - 1:,} bytes: Where It Comes From."
    )
    assert render(MARKDOWN, full("terse"), max_bytes=len(whole)).body == whole


def test_what_decides_stays_longest() -> None:
    kept = [list(read(full("terse"), max_bytes=size)) for size in (500, 5_000, 6_500)]

    assert kept[0] == TITLES[:2]
    assert "What It Does Differently" in kept[1]
    assert "Where It Comes From" not in kept[2]


def test_a_config_that_has_no_room_leaves_the_rest_of_its_section() -> None:
    document = full("terse")
    assert document.winner is not None
    winner = Winner(run=document.winner.run, config={"prompt": "x" * 70_000})

    found = read(replace(document, winner=winner), max_bytes=65_536)

    assert found["Best Configuration Detail"].tables
    assert found["Best Configuration Detail"].blocks == []
    assert "the config as JSON and Prompts" in found["Where It Comes From"].lines[-1]
