import pytest

from promptlooper_export.documents import Best, Report
from promptlooper_export.registry import discover


@pytest.mark.parametrize(
    ("name", "document", "media_types", "extension"),
    [
        ("json", Best, ["application/json"], "json"),
        ("env", Best, ["text/plain", "application/x-dotenv"], "env"),
        (
            "yaml",
            Best,
            [
                "application/yaml",
                "text/yaml",
                "application/x-yaml",
                "text/x-yaml",
                "text/vnd.yaml",
            ],
            "yaml",
        ),
        ("markdown", Report, ["text/markdown"], "md"),
    ],
)
def test_a_built_in_format_is_found_as_a_strangers_is(
    name: str, document: type, media_types: list[str], extension: str
) -> None:
    found = discover().formats[name]

    assert found.document is document
    assert list(found.media_types) == media_types
    assert found.extension == extension
