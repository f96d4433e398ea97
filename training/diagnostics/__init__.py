"""What goes on inside a network while it learns: collected, drawn, explained. This face is empty."""
