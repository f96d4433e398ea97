"""From a request to names. No HTTP."""
