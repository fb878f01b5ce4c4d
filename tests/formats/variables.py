"""What variables a config has to become, found in another way than by the format."""

import string

from formats.configs import Config
from promptlooper_export.configs import JSON
from promptlooper_export.plugin import Path


def variables(config: Config) -> dict[str, tuple[str, JSON]]:
    """Return what the file has to hold: by name, the path and the value."""
    found: dict[str, tuple[str, JSON]] = {}
    waiting: list[tuple[list[str], JSON]] = [([], config)]
    while waiting:
        keys, value = waiting.pop()
        if isinstance(value, dict) and (value or not keys):
            waiting += [([*keys, key], member) for key, member in value.items()]
            continue
        name = "_".join(keys).upper()
        for character in set(name) - set(string.ascii_uppercase + string.digits):
            name = name.replace(character, "_")
        if name == "" or name[0] in string.digits:
            name = "_" + name
        found[name] = str(Path(keys)), value
    return found
