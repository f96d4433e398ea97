"""Processes and sockets: the uvicorn server, its protocol, workers, watchdog."""
