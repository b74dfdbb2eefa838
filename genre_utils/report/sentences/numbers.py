"""Numbers and names as they stand in sentences."""

from genre_utils.plots.formatting import percent

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def spelled(count: int) -> str:
    """A number as a word, up to ten."""
    return NUMBERS[count] if count < len(NUMBERS) else str(count)


def plural(count: int, what: str) -> str:
    """A number of things."""
    return f"{count} {what}" + ("" if count == 1 else "s")


def limits(found) -> str:
    """The interval (keys low and high: shares) of what stands before it in a sentence."""
    return f"95\N{NO-BREAK SPACE}% interval {percent(found['low'])} to {percent(found['high'])}"


def names(models) -> str:
    """Names of models, as in a sentence."""
    *others, last = (f"`{name}`" for name in models)
    return f"{', '.join(others)} and {last}" if others else last
