"""What can be told of the settings before anything is served: here a mistake is one line; in a worker it would be found
later. Nothing of what is read is kept.
"""

from app.access.keys import Keys
from app.access.shared_windows import SharedWindows
from app.commands.opening import pins_of
from app.naming.decency import words_of
from app.processes.telemetry import telemetry_of
from app.settings import Settings


def check(settings: Settings) -> None:
    """Raise `ModelError` where a file of the settings cannot be read or a package is missing."""
    for name in ("unsafe_words", "safe_words"):
        words_of(getattr(settings, name), name)
    if settings.keys:
        Keys.load(settings.keys)
    pins_of(settings)
    if settings.limit and settings.limits_store:
        # It is not asked yet.
        SharedWindows(settings.limits_store, settings.limit)
    telemetry_of(settings)
