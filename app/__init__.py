"""The app room: the models over HTTP and at the command line. Nothing here trains, and nothing here knows how a name
is drawn.
"""
