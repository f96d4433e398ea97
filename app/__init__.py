"""The service: models over HTTP and at the command line. It neither trains nor knows how names are sampled."""
