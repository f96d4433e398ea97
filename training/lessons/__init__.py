"""What the lessons in docs/lessons need beside the other commands: demonstrations, each with figures to check and maybe
a picture, and the command that runs the lessons' own checks. This face is empty.
"""
