from urllib.parse import quote, urlencode
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import experiment, run
from databases import Database
from webservice import Service, problem

ID = UUID("2f1c4d5e-6a7b-4c8d-9e0f-a1b2c3d4e5f6")
PATH = f"/experiments/{ID}/export"


@pytest.mark.parametrize(
    "text",
    [
        "1",
        "no-id",
        "latest",
        f"{{{ID}}}",
        f"urn:uuid:{ID}",
        f"%20{ID}",
        f"{ID}%20",
        f"{ID}%00",
        f"{ID}%0a",
        f"{ID}0",
        str(ID)[:-1],
        ID.hex[:-1],
        ID.hex + "0",
        str(ID).replace("-", "_"),
        str(ID).replace("-", "", 1),
        f"{ID.hex[:16]}-{ID.hex[16:]}",
        str(ID).replace("2", "g", 1),
        str(ID).replace("2", "\N{FULLWIDTH DIGIT TWO}", 1),
        str(ID).replace("2", "%C0%B2", 1),
        "%252e",
        "..%5c",
        "'%20OR%201=1",
        "{{7*7}}",
        "%F0%9F%92%A9",
        "%FF",
        "x" * 5000,
    ],
)
@pytest.mark.parametrize(
    "path", ["/experiments/{}/export", "/api/export/experiments/{}/best"]
)
def test_what_is_no_id_is_refused(
    service_without_database: Service, path: str, text: str
) -> None:
    response = service_without_database.ask(path.format(text))
    assert problem(response, 422, "invalid-parameter")["parameter"] == "id"


@pytest.mark.parametrize(
    "text", [str(ID), str(ID).upper(), ID.hex, ID.hex.upper(), str(ID).title()]
)
def test_an_id_may_have_any_case_and_no_hyphens(
    service: Service, database: Database, text: str
) -> None:
    database.load(experiment(run({"accuracy": 1.0}), id=ID))
    document = service.ask(f"/experiments/{text}/export").get_json()
    assert document["experiment_id"] == str(ID)


@pytest.mark.parametrize(
    "value",
    [
        "0",
        "51",
        "-1",
        "+5",
        "%2B5",
        "1.0",
        "1e1",
        "5_0",
        "%205",
        "5%20",
        "5%0a",
        "0x5",
        "",
        "five",
        "true",
        "null",
        "NaN",
        "\N{ARABIC-INDIC DIGIT FIVE}",
        "\N{SUPERSCRIPT TWO}",
        "2147483648",
        "9223372036854775807",
        "9223372036854775808",
        "9" * 4000,
        "%00",
        "%FF",
    ],
)
@pytest.mark.parametrize("query", ["format=markdown&", ""])
def test_top_n_is_a_whole_number_from_1_to_50(
    service_without_database: Service, query: str, value: str
) -> None:
    response = service_without_database.ask(f"{PATH}?{query}top_n={value}")
    document = problem(response, 422, "invalid-parameter")
    assert document["parameter"] == "top_n"
    assert document["allowed"] == {"minimum": 1, "maximum": 50}


@pytest.mark.parametrize("value", ["1", "5", "05", "50"])
def test_a_good_top_n_gets_to_the_database(
    service_without_database: Service, value: str
) -> None:
    response = service_without_database.ask(f"{PATH}?format=markdown&top_n={value}")
    problem(response, 503, "database-unavailable")


@pytest.mark.parametrize("name", ["json", "env", "yaml"])
def test_top_n_belongs_to_reports(service_without_database: Service, name: str) -> None:
    response = service_without_database.ask(f"{PATH}?format={name}&top_n=5")
    document = problem(response, 422, "invalid-parameter")
    assert document["parameter"] == "top_n"
    assert "report" in document["detail"]
    assert "top_n" not in document["allowed"]


@pytest.mark.parametrize(
    "query",
    [
        "format=",
        "format=JSON",
        "format=Yaml",
        "format=pdf",
        "format=json%20",
        "format=json,yaml",
        "format=application/json",
        "format=%FF",
        "format=json&format=json",
        "format=json&format=yaml",
        "format=json&format=",
    ],
)
def test_a_bad_format_is_refused_with_those_there_are(
    service_without_database: Service, query: str
) -> None:
    response = service_without_database.ask(
        f"{PATH}?{query}", headers={"Accept": "image/png"}
    )
    document = problem(response, 422, "invalid-parameter")
    assert document["parameter"] == "format"
    assert {"json", "env", "yaml", "markdown"} <= set(document["allowed"])
    for row in document["available"]:
        assert row["url"] == f"{PATH}?format={row['name']}"
    # Accept does not choose the format, but whether the refusal is a page.
    assert response.headers["Vary"] == "Accept"


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("foo=1", "foo"),
        ("format=json&foo=1", "foo"),
        ("Format=json", "Format"),
        ("top_n%20=5", "top_n "),
        ("=1", ""),
        ("foo", "foo"),
        ("format=json&foo=1&foo=2", "foo"),
        ("jwt=abc", "jwt"),
        ("%00=1", "\0"),
    ],
)
def test_an_unknown_parameter_is_named(
    service_without_database: Service, query: str, name: str
) -> None:
    response = service_without_database.ask(f"{PATH}?{query}")
    document = problem(response, 422, "invalid-parameter")
    assert document["parameter"] == name
    assert "format" in document["allowed"]


@pytest.mark.parametrize("query", ["top_n=5&top_n=5", "top_n=5&top_n=x"])
def test_a_parameter_counts_once(service_without_database: Service, query: str) -> None:
    response = service_without_database.ask(f"{PATH}?format=markdown&{query}")
    document = problem(response, 422, "invalid-parameter")
    assert document["parameter"] == "top_n"
    assert "once" in document["detail"]


@pytest.mark.parametrize("segment", ["best", "env", "yaml", "report"])
def test_a_classic_path_has_no_format_parameter(
    service_without_database: Service, segment: str
) -> None:
    path = f"/api/export/experiments/{ID}/{segment}"
    response = service_without_database.ask(f"{path}?format=json")
    document = problem(response, 422, "invalid-parameter")
    assert document["parameter"] == "format"
    assert "format" not in document["allowed"]


def test_only_the_classic_report_has_top_n(service_without_database: Service) -> None:
    path = f"/api/export/experiments/{ID}"
    report = service_without_database.ask(f"{path}/report?top_n=3")
    problem(report, 503, "database-unavailable")
    best = service_without_database.ask(f"{path}/best?top_n=3")
    assert problem(best, 422, "invalid-parameter")["parameter"] == "top_n"


LATIN = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40)
NAMES = st.sampled_from(["format", "top_n", "x"]) | st.text(max_size=5)
VALUES = st.sampled_from(["json", "markdown", "5"]) | st.text(max_size=10)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pairs=st.lists(st.tuples(NAMES, VALUES), max_size=3),
    accept=LATIN,
    request_id=LATIN,
    text=st.just(str(ID)) | st.text(min_size=1, max_size=40),
)
def test_no_input_is_answered_with_a_server_error(
    service: Service,
    pairs: list[tuple[str, str]],
    accept: str,
    request_id: str,
    text: str,
) -> None:
    query = urlencode(pairs, errors="surrogatepass")
    response = service.ask(
        f"/experiments/{quote(text, errors='surrogatepass')}/export?{query}",
        headers={"Accept": accept, "X-Request-ID": request_id},
    )
    assert response.status_code in {404, 406, 422}
    assert response.content_type == "application/problem+json"
