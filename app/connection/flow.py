"""Who may read on. When to stop reading, is decided elsewhere."""

from uvicorn.protocols.http.flow_control import FlowControl


class HeldFlow(FlowControl):
    """Reading that can be held: an application that waits for a body, or for the end of its client, wants uvicorn to
    read on, and cannot know that other requests wait already.
    """

    _held = False

    def hold(self) -> None:
        """Read nothing more until it is let go."""
        self._held = True
        self.pause_reading()

    def let_go(self) -> None:
        """Read on, where that was held."""
        if self._held:
            self._held = False
            self.resume_reading()

    def resume_reading(self) -> None:
        """Read on, unless that is held."""
        if not self._held:
            super().resume_reading()
