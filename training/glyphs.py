"""How a character is written in a picture, where the font may not have it. Nothing is drawn here."""

from matplotlib.font_manager import findfont, get_font

SPACE = "␣"
FONT = "DejaVu Sans"


def symbol_of(character: str) -> str:
    """Return the character, a sign for a blank, or its Unicode number where the pictures' font does not have it."""
    if character.isspace():
        return SPACE
    is_known = get_font(findfont(FONT)).get_char_index(ord(character)) > 0
    return character if is_known else f"{ord(character):04X}"
