"""Figures, and whether they meet their goals."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


def percentile(seconds: Sequence[float], share: int) -> float:
    """In milliseconds."""
    ordered = sorted(seconds)
    if len(ordered) == 1:
        return ordered[0] * 1000
    return statistics.quantiles(ordered, n=100, method="inclusive")[share - 1] * 1000


@dataclass(slots=True)
class Row:
    """`goal` None: only told."""

    what: str
    figure: str
    goal: str | None = None
    met: bool | None = None

    def line(self, width: int) -> str:
        end = ""
        if self.goal is not None:
            end = f"  goal {self.goal}: {'met' if self.met else 'not met'}"
        return f"{self.what:<{width}}  {self.figure}{end}"


@dataclass(slots=True)
class Report:
    rows: list[Row] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def tell(self, what: str, figure: str) -> None:
        self.rows.append(Row(what, figure))

    def judge(self, what: str, figure: str, goal: str, met: bool) -> None:
        self.rows.append(Row(what, figure, goal, met))

    def keep(self, name: str, **values: Any) -> None:
        self.figures[name] = values

    def table(self) -> str:
        width = max((len(row.what) for row in self.rows), default=0)
        return "\n".join(row.line(width) for row in self.rows)

    def document(self) -> dict[str, Any]:
        return {
            "rows": [asdict(row) for row in self.rows],
            "figures": self.figures,
            "failures": self.failures,
        }
