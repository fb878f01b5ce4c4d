"""Measure what every reader reads back, print it and write the page."""

import sys

from fidelity.table import PAGE, page

found = page()
sys.stdout.write(found)
PAGE.write_text(found, encoding="utf-8")
