"""What can go wrong; HTTP and the command line show these errors to people.

An ExportError is either a ProblemError, which HTTP can answer and a command can end
with, or a CommandError, which only ends a command. docs/errors.md draws the tree.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class ExportError(Exception):
    """Something that people are told: `detail` says what is wrong and what to do next.

    `members` are extensions of the problem document (RFC 9457, section 3.2). The
    command line prints the detail and ends with `exit_code`.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, detail: str, **members: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.members = members


class ProblemError(ExportError):
    """An error that can be an answer over HTTP; its docstring is its page."""

    slug: ClassVar[str]
    title: ClassVar[str]
    status: ClassVar[int]


class CommandError(ExportError):
    """An error of the command line or the environment, which ends the process."""


class UnauthorizedError(ProblemError):
    """The request has no token, or one that this service does not accept.

    Send one valid token as `Authorization: Bearer TOKEN`. The command
    `promptlooper-export token` makes one. The service's log says why it refused one.
    """

    slug = "unauthorized"
    title = "A valid token is needed"
    status = 401

    def __init__(self, detail: str, *, sent: bool) -> None:
        """Take whether a token was sent at all, which the answer may reveal."""
        super().__init__(detail)
        self.sent = sent


class ForbiddenError(ProblemError):
    """The token is valid, but its scope does not cover this document.

    Ask for a token with the scope in `scope`, or choose a format of another document.
    """

    slug = "forbidden"
    title = "The token's scope does not cover this"
    status = 403


class NotFoundError(ProblemError):
    """There is nothing at this path.

    Exports are at `/experiments/ID/export`; `/formats` lists the formats.
    """

    slug = "not-found"
    title = "No such resource"
    status = 404


class ExperimentNotFoundError(ProblemError):
    """The experiment does not exist, or this token may not see it.

    Check the id, and whether the token's subject or groups have a grant.
    """

    slug = "experiment-not-found"
    title = "Experiment not found"
    status = 404

    def __init__(self, detail: str = "Experiment not found", **members: object) -> None:
        super().__init__(detail, **members)


class NothingToExportError(ProblemError):
    """No completed run has a finite score and every required scorer.

    Wait until a run is scored, or ask for a report, which needs no scored run.
    """

    slug = "no-scored-runs"
    title = "Nothing to export yet"
    status = 404
    exit_code = 4

    def __init__(self) -> None:
        super().__init__("No completed runs with scores found")


class MethodNotAllowedError(ProblemError):
    """The resource does not support this method; `Allow` lists those that it does.

    Use GET or HEAD.
    """

    slug = "method-not-allowed"
    title = "Method not allowed"
    status = 405


class NotAcceptableError(ProblemError):
    """No installed format matches the Accept header; `available` lists all of them.

    Put one of these media types into `Accept`, or `?format=NAME` into the URL.
    """

    slug = "not-acceptable"
    title = "No format matches Accept"
    status = 406

    def __init__(
        self,
        detail: str,
        *,
        available: Sequence[Mapping[str, Any]],
        **members: object,
    ) -> None:
        super().__init__(detail, available=available, **members)
        self.available = available


class CodingNotAcceptableError(ProblemError):
    """Accept-Encoding refuses every coding of this export, including `identity`.

    Allow one of those in `available`, or leave out `Accept-Encoding`.
    """

    slug = "coding-not-acceptable"
    title = "No coding matches Accept-Encoding"
    status = 406


class PreconditionFailedError(ProblemError):
    """The export is not the one that `If-Match` names, or cannot be proven to be.

    Leave out `If-Match`. An export that contains its own time has a weak tag, which
    `If-Match` never matches; with `?reproducible=1` the tag is strong.
    """

    slug = "precondition-failed"
    title = "If-Match names another representation"
    status = 412


class RangeNotSatisfiableError(ProblemError):
    """The range begins after the end of the export, which has `length` bytes.

    Ask for a range within it, or leave out `Range`.
    """

    slug = "range-not-satisfiable"
    title = "The range begins after the end"
    status = 416


class RequestTooLargeError(ProblemError):
    """The request body has more bytes than the service reads.

    Send the token as `Authorization: Bearer`, without a body.
    """

    slug = "request-too-large"
    title = "Request too large"
    status = 413


class InvalidParameterError(ProblemError):
    """A query parameter or path segment is unknown, repeated or out of range.

    It may also name a scorer, a path or a number of runs that the experiment lacks.

    Correct the one named in `parameter`; `allowed` lists the allowed values.
    """

    slug = "invalid-parameter"
    title = "Invalid parameter"
    status = 422
    exit_code = 2


class FormatNotInstalledError(ProblemError):
    """The format needs a library that is not installed where the service runs.

    Run the command in `install` there, or choose another format.
    """

    slug = "format-not-installed"
    title = "Format not installed"
    status = 422


class InvalidConfigError(ProblemError):
    """The stored config of the run is not a JSON object, or holds NaN or infinity.

    Correct the config in the database. Until then, reports show the other runs.
    """

    slug = "invalid-config"
    title = "A stored config is not valid JSON"
    status = 422


class UnreadableRowError(ProblemError):
    """A row in the database has an invalid id, so it cannot be exported.

    Correct the row that the detail names. Ids are UUIDs; SQLite has them as 32
    hexadecimal digits in lower case.
    """

    slug = "unreadable-row"
    title = "A row has no readable id"
    status = 422


class UnrepresentableError(ProblemError):
    """The format cannot hold a value; `paths` says where in the config it is.

    Choose a format that can, such as json, or change the values at these paths.
    """

    slug = "unrepresentable"
    title = "The format cannot hold a value"
    status = 422

    def __init__(
        self, detail: str, *, paths: tuple[str, ...], **members: object
    ) -> None:
        super().__init__(detail, paths=list(paths), **members)


class TableTooWideError(ProblemError):
    """The runs have more different keys and scorers than a table has columns.

    Choose ndjson, which has no columns and holds any number of them.
    """

    slug = "table-too-wide"
    title = "The table has too many columns"
    status = 422


class ExportTooLargeError(ProblemError):
    """The rendered body is larger than PROMPTLOOPER_SPOOL_MAX_BYTES.

    Export it on the command line, which has no such limit, or raise the setting.
    """

    slug = "export-too-large"
    title = "The export is too large"
    status = 422


class TooManyExportsError(ProblemError):
    """The service is already running as many exports as it allows.

    Try again after the seconds in `Retry-After`.
    """

    slug = "too-many-exports"
    title = "Too many exports at once"
    status = 429


class FormatFailedError(ProblemError):
    """A format raised an exception or broke the plugin interface.

    Choose another format, and tell the author of the one named in `format`.
    """

    slug = "format-failed"
    title = "The format failed"
    status = 500


class InternalError(ProblemError):
    """The service has a bug.

    Report it with the id in `instance`; the log has the cause under that id.
    """

    slug = "internal-error"
    title = "Internal error"
    status = 500


class DatabaseUnavailableError(ProblemError):
    """The database did not answer.

    Try again after the seconds in `Retry-After`.
    """

    slug = "database-unavailable"
    title = "The database is not available"
    status = 503


class DatabaseNotUnderstoodError(DatabaseUnavailableError):
    """The tables, columns or types are not those of a runner's database.

    The log says what the service expected and found. Correct PROMPTLOOPER_DATABASE_URL.
    """

    slug, title = "database-not-understood", "The database is not understood"
    status, exit_code = 503, 78


class SpoolFullError(ProblemError):
    """Exports cannot be kept until they are sent: the disk is full, or takes no files.

    Try again after the seconds in `Retry-After`. The operator should free space in
    PROMPTLOOPER_SPOOL_DIR, or correct it.
    """

    slug = "spool-full"
    title = "No space for the export"
    status = 503


class AuditUnavailableError(ProblemError):
    """The log cannot be written, so an export with secrets would leave no record.

    Try again after the seconds in `Retry-After`, or export without `redact=off`. The
    operator should free space where the service's stderr goes, or have it read.
    """

    slug = "audit-unavailable"
    title = "The export cannot be recorded"
    status = 503

    def __init__(self) -> None:
        msg = "The log cannot record it; try again shortly, or leave out redact=off."
        super().__init__(msg)


class FormatTimeoutError(ProblemError):
    """A format did not finish within PROMPTLOOPER_RENDER_TIMEOUT.

    Choose another format, or raise the setting.
    """

    slug = "format-timeout"
    title = "The format took too long"
    status = 504

    def __init__(self, name: str) -> None:
        reason = f"The format {name!r} took longer than PROMPTLOOPER_RENDER_TIMEOUT"
        detail = f"{reason} allows. Choose another one, or raise the setting."
        super().__init__(detail, format=name)


class SettingsError(CommandError):
    """An environment variable is missing, unknown or unsafe."""

    exit_code = 78  # EX_CONFIG of sysexits.h


class MigrationError(CommandError):
    """The database cannot be migrated to the required schema version."""


class SourceError(CommandError):
    """A file to import cannot be read; the detail names the file and the line."""


class UsageError(CommandError):
    """The command line is wrong."""

    exit_code = 2


class ComparisonError(CommandError):
    """A file cannot be compared: it is incomplete or in another format."""


class WarnedError(CommandError):
    """An export has warnings, and `--strict` accepts none; nothing is written."""


class DifferenceError(CommandError):
    """A verification found a difference."""

    exit_code = 3
