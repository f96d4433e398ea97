"""How the shipped lists are remade: fetching packages, reading their formats, choosing words. `data.build` is the door.

Nothing here is needed to train or to serve, and nothing outside `data.build` imports it.
"""
