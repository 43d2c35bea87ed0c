"""What the library raises, beside OSError where the system refuses."""


class PreforkMetricsError(Exception):
    """The root of the library's errors; the message is a sentence for the operator.

    Attributes: slug (names the kind to programs), title (names it to people).
    """

    slug = "metrics-error"
    title = "Metrics cannot be kept"

    @property
    def detail(self) -> str:
        """The sentence."""
        return str(self)


class MetricsDirectoryError(PreforkMetricsError):
    """The directory that the processes share cannot be used; the message says why."""

    slug = "metrics-directory-unusable"
    title = "The metrics directory cannot be used"


class MetricsDirectoryBusyError(MetricsDirectoryError):
    """Another process has held the metrics directory for too long."""

    slug = "metrics-directory-busy"
    title = "The metrics directory is busy"


class MetricsDirectoryInUseError(MetricsDirectoryError):
    """Another web server shares its metrics through the directory."""

    slug = "metrics-directory-in-use"
    title = "The metrics directory is another server's"


class ValueFileUnreadableError(PreforkMetricsError):
    """A file of values cannot be used."""

    slug = "value-file-unreadable"
    title = "A file of metric values cannot be read"
