"""Measure what every reader reads back, print it and write the page."""

import shutil
import sys

from fidelity import libreoffice
from fidelity.table import PAGE, page

found = page()
sys.stdout.write(found)
PAGE.write_text(found, encoding="utf-8")
if shutil.which("soffice"):
    sys.stdout.write(f"\nLibreOffice: {libreoffice.check()}\n")
else:
    sys.exit("\nLibreOffice is missing: apt-get install libreoffice-calc")
