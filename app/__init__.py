"""The service: models over HTTP and at the command line. It neither trains nor knows how names are sampled."""

__version__ = "0.2.0"
