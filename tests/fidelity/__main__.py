"""Measure what every reader reads back, print it and write the page."""

import secrets
import shutil
import sys

from fidelity import libreoffice
from fidelity.made_up import made_up
from fidelity.measure import measure
from fidelity.subjects import SUBJECTS
from fidelity.table import PAGE, page
from fidelity.tables import READERS
from fidelity.tables import measure as measure_table

MADE_UP = 1_000

found = page()
sys.stdout.write(found)
PAGE.write_text(found, encoding="utf-8")
more = made_up(number=secrets.randbelow(1 << 32), size=MADE_UP)
left = [
    *(
        found
        for subject in SUBJECTS
        for tally in measure(subject, more).values()
        for found in tally.different
    ),
    *(found for reader in READERS for found in measure_table(reader, more).different),
]
if left:
    sys.exit("\n".join(["", "Different:", *left]))
sys.stdout.write(f"\nMade up by chance: {MADE_UP} configs, none different\n")
if shutil.which("soffice"):
    sys.stdout.write(f"\nLibreOffice: {libreoffice.check()}\n")
else:
    sys.exit("\nLibreOffice is missing: apt-get install libreoffice-calc")
