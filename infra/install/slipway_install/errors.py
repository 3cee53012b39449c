"""What an operator reads when an installation stops."""


class InstallError(Exception):
    """`what` names the thing, `hint` the next step, `evidence` are lines to show between them."""

    def __init__(self, what: str, hint: str, evidence: list[str] | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.evidence = evidence or []

    def __str__(self) -> str:
        lines = [f"    {line}" for line in self.evidence]
        return "\n".join([self.what, *lines, f"  next: {self.hint}"])
