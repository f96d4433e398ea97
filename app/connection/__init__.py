"""What happens to the bytes on a socket: how requests are read, how answers are sent, and how both end. Nothing here
knows what is asked for.
"""
