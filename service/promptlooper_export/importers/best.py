"""The best document, read back from its JSON export."""

import json
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

from marshmallow import ValidationError

from promptlooper_export.documents import Best, Notice
from promptlooper_export.errors import SourceError
from promptlooper_export.schemas import BestSchema


def read_best(source: str, data: bytes) -> Best:
    """Return the document, to the last bit. Raises SourceError for anything else."""
    try:
        loaded: Any = json.loads(data)
        values = BestSchema().load(loaded)
        values["exported_at"] = datetime.fromisoformat(values["exported_at"])
    except (ValueError, ValidationError, TypeError) as error:
        msg = (
            f"{Path(source).name} is no JSON export of a best config, or not whole: "
            f"{error}"
        )
        raise SourceError(msg) from error
    values["warnings"] = tuple(
        Notice(code=row["code"], message=row["message"], path=row.get("path"))
        for row in values["warnings"]
    )
    return Best(**{field.name: values[field.name] for field in fields(Best)})
