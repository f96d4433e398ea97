"""From a request to names: what it draws from, what it draws, and the text of its answer. No HTTP, but the forms that
an answer takes.
"""
