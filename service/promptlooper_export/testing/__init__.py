"""What a format must be, as tests that its author runs with pytest.

class TestProperties(FormatSuite):
    format = PROPERTIES
"""

from promptlooper_export.testing.suite import FormatSuite, RoundTripSuite

__all__ = ["FormatSuite", "RoundTripSuite"]
