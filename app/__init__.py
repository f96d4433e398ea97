"""The service: models over HTTP and at the command line, without training or sampling code."""

__version__ = "0.2.0"
