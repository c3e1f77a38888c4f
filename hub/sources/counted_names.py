"""Names that count: train-{000..146}.tar."""

from ..errors import DataError


def counted(pattern: str) -> list[str] | None:
    """Of a/{000..012}.tar what it counts off; None where it does not count.

    Raises:
        DataError: it counts with something else than numbers.
    """
    if "{" not in pattern or ".." not in pattern:
        return None
    before, _, rest = pattern.partition("{")
    numbers, _, after = rest.partition("}")
    first, _, last = numbers.partition("..")
    if not (first.isdecimal() and last.isdecimal()):
        raise DataError(f"{pattern} counts from {first} to {last}; write numbers, as in {{000..012}}.")
    return [f"{before}{number:0{len(first)}}{after}" for number in range(int(first), int(last) + 1)]
