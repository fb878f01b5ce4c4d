"""The format conforms, and another program reads it back."""

import json

import pytest
from jproperties import Properties
from promptlooper_properties import PROPERTIES, text

from promptlooper_export.plugin import Best, UnrepresentableError, flatten
from promptlooper_export.testing import RoundTripSuite
from promptlooper_export.testing.documents import best


class TestProperties(RoundTripSuite):
    format = PROPERTIES

    def read_back(self, body: bytes) -> object:
        read = Properties()
        read.load(body, "utf-8")
        return {key: value.data for key, value in read.items()}

    def expected(self, document: Best) -> object:
        # jproperties drops U+FEFF wherever it is escaped; Java does not.
        return {
            ".".join(path).replace("\ufeff", ""): text(value).replace("\ufeff", "")
            for path, value in flatten(document.config)
        }


def test_two_paths_of_one_key_are_refused() -> None:
    config = json.loads('{"a": {"b": 1}, "a.b": 2}')
    with pytest.raises(UnrepresentableError, match="both called"):
        list(PROPERTIES.stream(best(config), {"encoding": "ascii"}))


def test_half_of_a_pair_is_refused() -> None:
    with pytest.raises(UnrepresentableError, match="prompt"):
        list(PROPERTIES.stream(best({"prompt": "half \ud800"}), {"encoding": "ascii"}))
