"""The scalar engine at work: a small classifier, learnt number by number, and its pictures. This face is empty."""
