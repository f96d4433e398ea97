"""Who may ask, and how much: API keys, client addresses, rate limits."""
