"""How much is taken on at a time: what a request costs, who draws next, and who is sent away at once."""
