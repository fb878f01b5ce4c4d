import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from conftest import Console  # type: ignore[import-not-found]

from promptlooper_export import __version__
from promptlooper_export.cli.main import COMMANDS, promptlooper_export
from promptlooper_export.settings import SETTINGS
