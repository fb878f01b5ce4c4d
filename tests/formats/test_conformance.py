"""The built-in formats pass the suite that other packages' authors run."""

from promptlooper_export.registry import discover
from promptlooper_export.testing import FormatSuite

for _name, _format in discover().formats.items():
    _title = f"Test{_name.title().replace('-', '')}"
    globals()[_title] = type(_title, (FormatSuite,), {"format": _format})
