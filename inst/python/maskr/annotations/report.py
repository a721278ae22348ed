"""What reading left out and what writing could not hold, counted by reason."""

from dataclasses import dataclass, field


@dataclass
class Report:
    """Counts of records by reason, with the place of the first of each.

    Attributes
    ----------
    skipped
        Records that could not be read; R warns of them.
    changed
        What the format to be written cannot hold, and what was written instead; R tells of it.
    """

    skipped: dict[str, list] = field(default_factory=dict)
    changed: dict[str, list] = field(default_factory=dict)

    def skip(self, reason: str, where: str) -> None:
        """Count a record that is left out, such as ("shape of type point", "a.json, shape 3")."""
        self.skipped.setdefault(reason, [0, where])[0] += 1

    def change(self, reason: str, where: str, count: int = 1) -> None:
        """Count `count` records that are written in another form than they had."""
        self.changed.setdefault(reason, [0, where])[0] += count

    def to_r(self) -> dict[str, list[str]]:
        """Make one line a reason."""
        return {"skipped": lines(self.skipped), "changed": lines(self.changed)}


def lines(counts: dict[str, list]) -> list[str]:
    """Write "reason (12 times, first: place)", or "reason (place)" of one."""
    return [
        f"{reason} ({where})" if n == 1 else f"{reason} ({n} times, first: {where})"
        for reason, (n, where) in counts.items()
    ]
