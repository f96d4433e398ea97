"""Styles: conditions that a model learned, such as gender and decade, and the values that it knows for each."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from models.errors import OptionError


@dataclass(frozen=True)
class Styles:
    """What a model knows: each style with its values, in the order of their rows of biases, style after style."""

    values: Mapping[str, tuple[str, ...]]

    def __len__(self) -> int:
        """Return the number of values of all styles, S."""
        return len(self.rows)

    @cached_property
    def rows(self) -> dict[tuple[str, str], int]:
        """The row of biases of each style and value."""
        pairs = [(style, value) for style, values in self.values.items() for value in values]
        return {pair: row for row, pair in enumerate(pairs)}

    def rows_of(self, chosen: Mapping[str, str], model: str = "The model") -> tuple[int, ...]:
        """Return the rows of the chosen values, ascending: at most one of each style; case does not matter.

        `model` names the model in errors. Raises `OptionError` for a style or a value that it does not know.
        """
        return tuple(sorted(self._row(style, value, model) for style, value in chosen.items()))

    def chosen(self, rows: Iterable[int]) -> dict[str, str]:
        """Return the values in these rows, by style: the inverse of `rows_of`."""
        pairs = list(self.rows)
        return dict(pairs[row] for row in rows)

    def _row(self, style: str, value: str, model: str) -> int:
        if (style, value) in self.rows:
            return self.rows[style, value]
        folded = [known for known in self.values.get(style, ()) if known.casefold() == value.casefold()]
        if len(folded) == 1:
            return self.rows[style, folded[0]]
        if not self.values:
            raise OptionError(f"{model} knows no styles.", field="style", allowed=f"left out: {model} knows no styles")
        known = self.values.get(style)
        if known is None:
            allowed = f"a map whose keys are among {', '.join(self.values)}"
            raise OptionError(
                f"{model} knows no style {style!r}; it knows {', '.join(self.values)}.",
                field="style",
                allowed=allowed,
                nearest=difflib.get_close_matches(style, self.values, n=3),
            )
        raise OptionError(
            f"{model} knows no {style} {value!r}; it knows {', '.join(known)}.",
            field="style",
            allowed=f"one of {', '.join(known)} for {style}",
            nearest=difflib.get_close_matches(value, known, n=3),
        )


NO_STYLES = Styles({})
