import json
from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from formats.configs import texts
from formats.rendering import MOMENT, experiment, ranked_run, render, report, won
from pages import Page
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
from promptlooper_formats.html import HTML

LEAVES = (
    "",
    '">',
    "'>",
    "-->",
    "]]>",
    "</title>",
    "</style>",
    "</pre>",
    "</code></td></tr></table>",
    "</svg>",
    "&lt;/bdi&gt;</bdi>",
    "`}}{% endraw %}",
)
ACTS = (
    "<script>alert(1)</script>",
    "<ScRiPt src=//example.test/x></sCrIpT>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><a xlink:href=javascript:alert(1)><text>x</text></a></svg>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<a href=javascript:alert(1)>x</a>",
    "<body onload=alert(1)>",
    "<style>*{background:url(//example.test)}</style>",
    "<base href=//example.test>",
    "<meta http-equiv=refresh content=0;url=//example.test>",
    "<form action=//example.test><input autofocus onfocus=alert(1)>",
    " onmouseover=alert(1) style=color:red x=",
)
HOSTILE = [leave + act for leave, act in product(LEAVES, ACTS)]


def filled(text: str) -> Report:
    """Build a report that has this text wherever a database may hold text."""
    run = ranked_run(
        config_hash=text,
        scores={text: 0.5},
        duration_ms=1234,
        tokens_in=5,
        tokens_out=None,
        cost_usd=0.25,
    )
    return report(
        experiment=experiment(
            name=text, description=text, status=text, parameter_space={text: [text]}
        ),
        counts=RunCounts(total=2, by_status={text: 2}, scored=2),
        top=(run, replace(run, rank=2, weighted_score=0.25)),
        winner=Winner(run=run, config={text: {text: [text]}}),
        differences=Differences(
            compared=1,
            parameters=(
                Difference(
                    path=text,
                    winner=text,
                    has_winner=True,
                    runner_up=None,
                    has_runner_up=False,
                    usual=[text],
                    has_usual=True,
                    share=0.5,
                ),
            ),
        ),
        scorers=(
            ScorerStatistics(
                name=text,
                direction="maximize",
                weight=None,
                required=True,
                values={"count": 2, "min": 0.25, "max": 0.5},
                histogram=(
                    Bin(low=0.25, high=0.3, count=3),
                    Bin(low=0.3, high=0.5, count=0),
                ),
            ),
        ),
        tokens=Tokens(tokens_in=10, tokens_out=2),
        timing=Timing(
            count=1,
            fastest=1,
            slowest=1,
            average=1,
            median=61_000,
            p95=1,
            total=1,
        ),
        cost=Cost(count=1, total=0.25, average=0.25),
        history=tuple(
            Period(
                start=MOMENT + timedelta(hours=hour),
                end=MOMENT + timedelta(hours=hour + 1),
                count=1,
                best=0.5,
                mean=0.25 * hour,
                best_so_far=0.5,
            )
            for hour in range(3)
        ),
        warnings=(Notice(code=text, message=text, path=text or "x"),),
    )


def page(document: Report) -> Page:
    return Page(render(HTML, document).text)


def shape(document: Report) -> list[tuple[str, list[str]]]:
    """Return the elements with the names of their attributes."""
    return [(row.name, list(row.attributes)) for row in page(document).elements]


PLAIN = shape(filled("plain"))


@pytest.mark.parametrize("text", HOSTILE)
def test_what_the_database_holds_is_only_text(text: str) -> None:
    assert shape(filled(text)) == PLAIN
    assert page(filled(text)).text.count(" ".join(text.split())) >= 10


@given(st.text(min_size=1) | texts)
def test_no_text_changes_the_page(text: str) -> None:
    if text:
        assert shape(filled(text)) == PLAIN


def test_the_page_is_well_formed() -> None:
    read = page(filled("plain"))
    assert not read.open
    assert not read.unbalanced
    ids = [row.attributes["id"] for row in read.elements if "id" in row.attributes]
    assert len(ids) == len(set(ids))
    for row in read.elements:
        assert row.attributes.get("aria-labelledby", ids[0]) in ids


def test_the_page_needs_nothing_else() -> None:
    text = render(HTML, filled("plain")).text
    read = Page(text)
    (style,) = read.named("style")
    sent = {name for row in read.elements for name in row.attributes}

    assert not {"href", "src", "srcset", "action", "style", "xlink:href"} & sent
    assert not {"script", "link", "img", "form", "base"} & {
        row.name for row in read.elements
    }
    assert "url(" not in "".join(style.text)
    assert "@import" not in "".join(style.text)


def test_a_page_that_is_served_links_to_downloads_and_to_the_list() -> None:
    read = Page(render(HTML, filled("plain"), links=True).text)
    links = [row.attributes["href"] for row in read.named("a")]
    assert links[0] == "../../experiments"
    assert "?format=env" in links
    assert all(link.startswith("?format=") for link in links[1:])


def test_the_answer_comes_first() -> None:
    words = page(filled("plain")).text
    verdict = words[: words.index("The winning config")]
    for fact in (
        "Winning score 0.5000",
        "Ahead of the next run 0.2500",
        "Runs 2 2 plain",
        "Median duration 1 min 1 s",
        "Cost of all runs 0.2500 USD",
        "May I deploy it?",
        "Read with care",
    ):
        assert fact in verdict


def test_an_experiment_without_a_winner_says_so() -> None:
    words = page(report(experiment=experiment(name="empty"))).text
    assert "none yet" in words
    assert "The winning config" not in words
    assert "Score over time" not in words


def test_a_winner_whose_config_is_not_valid_is_named_all_the_same() -> None:
    words = page(won(None)).text
    assert "The stored config is not valid JSON" in words
    assert "Winning score 0.5000" in words
    assert "Ahead of" not in words


def test_what_cannot_be_seen_is_shown() -> None:
    words = page(won({"a": "half \ud83d, bell \a, NUL \0"})).text
    assert r"half \ud83d, bell \u0007, NUL \u0000" in words


def test_the_same_report_gives_the_same_bytes() -> None:
    document = filled("plain")
    assert render(HTML, document) == render(HTML, document)


def test_a_config_can_be_copied_as_it_is_deployed() -> None:
    read = page(won({"model": "a", "key \N{BLACK STAR}": "it's"}))
    shown = {
        row.attributes["aria-label"]: "".join(row.text)
        for row in read.named("pre")
        if row.attributes["class"] == "whole"
    }
    assert json.loads(shown["The winning config as JSON"]) == {
        "model": "a",
        "key \N{BLACK STAR}": "it's",
    }
    assert yaml.safe_load(shown["The winning config as YAML"])["model"] == "a"


def test_a_config_that_env_cannot_hold_says_why_and_shows_the_others() -> None:
    words = page(won({"a": "NUL \0"})).text
    assert "It cannot be written as .env" in words
    assert "Copy as JSON" in words


def test_prompts_are_shown_as_text_with_their_line_breaks() -> None:
    read = page(won({"prompt": "first line\nsecond line", "model": "small"}))
    (prompt,) = [
        row for row in read.named("pre") if row.attributes["class"] == "prompt"
    ]
    assert "".join(prompt.text) == "first line\nsecond line"
    assert 'model "small"' in read.text


def test_a_changed_prompt_is_shown_word_by_word() -> None:
    old, new = "Answer briefly.\nBe kind.", "Answer at length.\nBe kind."
    difference = Difference(
        path="prompt",
        winner=new,
        has_winner=True,
        runner_up=old,
        has_runner_up=True,
        usual=old,
        has_usual=True,
        share=0.0,
    )
    found = replace(
        won({"prompt": new}),
        differences=Differences(compared=1, parameters=(difference,)),
    )
    read = page(found)
    assert "".join(text for row in read.named("del") for text in row.text) == "briefly"
    assert (
        "".join(text for row in read.named("ins") for text in row.text) == "at length"
    )


def test_seeds_are_named_and_not_taken_for_a_difference() -> None:
    found = replace(
        won({"seed": 1}),
        differences=Differences(
            compared=3,
            parameters=(
                Difference(
                    path="sampling.seed",
                    winner=1,
                    has_winner=True,
                    runner_up=2,
                    has_runner_up=True,
                    usual=3,
                    has_usual=True,
                    share=0.0,
                ),
            ),
        ),
    )
    words = page(found).text
    assert "but for what only tells runs apart: sampling.seed." in words


def test_what_is_still_running_is_said_before_the_config() -> None:
    found = replace(
        won({"a": 1}),
        counts=RunCounts(
            total=4, by_status={"completed": 1, "pending": 1, "running": 2}, scored=1
        ),
    )
    words = page(found).text
    assert "Still running: 3 runs to come." in words[: words.index("winning config")]
    assert "3 runs are still to come and may change it." in words


def test_unknown_tokens_are_not_shown_as_none() -> None:
    assert "Tokens no run has any" in page(won({"a": 1})).text


def test_crosses_for_failed_runs_stand_below_every_mean() -> None:
    document = filled("plain")
    failing = [replace(one, failed=1) for one in document.history]
    elements = page(replace(document, history=tuple(failing))).elements
    marks = [(row.attributes.get("class"), row.attributes) for row in elements]
    means = [float(one["cy"].strip("%")) for name, one in marks if name == "mean"]
    crosses = [float(one["y"].strip("%")) for name, one in marks if name == "failed"]
    assert len(means) == len(crosses) == 3
    # Their size is a few hundredths of the chart's height.
    assert max(means) + 4 < min(crosses)
