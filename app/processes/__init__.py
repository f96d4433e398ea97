"""What keeps the service running: its processes, those that watch over them, and the stores they keep up with."""
