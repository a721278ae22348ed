"""Words of messages: numbers with their nouns, and values as R writes them."""


def counted(n: int, noun: str, plural: str = "") -> str:
    """Write "1 image" or "3 images"; `plural` where that is not the noun with an s."""
    return f"{n:,} {noun if n == 1 else plural or f'{noun}s'}"


def as_r(value: object) -> str:
    """Write a plain value as R does: `"b0"`, `TRUE`, `NULL`, `9`, `c(9, 3)`."""
    if isinstance(value, list | tuple):
        items = ", ".join(map(as_r, value))
        return items if len(value) == 1 else f"c({items})"
    if isinstance(value, str):
        return f'"{value}"'
    if value is None:
        return "NULL"
    return str(value).upper() if isinstance(value, bool) else str(value)
