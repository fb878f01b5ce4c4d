"""Save the winner's config: python_client.py best.env.

EXPORT_URL is http://HOST/experiments/ID/export, EXPORT_TOKEN a token for it.
"""

import os
import sys

from promptlooper_export.client import ClientError, download

try:
    # Whole or not at all; the next call resumes an interrupted download.
    download(
        os.environ["EXPORT_URL"],
        sys.argv[1],
        token=os.environ["EXPORT_TOKEN"],
        format="env",
    )
except ClientError as error:
    sys.exit(str(error))
