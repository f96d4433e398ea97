"""The scalar engine: numbers that remember how they were made, and so find their gradients. It is here to be read: no
model that ships is made of it. This face is empty; nothing else in `models` imports this folder.
"""
