"""Who may come in, and how much each client may have: keys, addresses, limits."""
