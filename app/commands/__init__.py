"""What `python -m app` offers beside serving."""
