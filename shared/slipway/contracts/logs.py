"""Log lines: stream LOGS, subjects `log.<organization>.build.<deployment>` and
`log.<organization>.run.<service>`; a message is a batch of lines (JSON list)."""

from typing import Annotated, Literal

from pydantic import AfterValidator

from slipway.contracts.clipping import Clipped, at_most, shown


class LogLine(Clipped):
    """`at` ISO 8601 UTC; `step` the build's step or the task's id; `text` without line end and
    without what steers a terminal, every secret of the deployment already replaced by `***`."""

    at: str
    stream: Literal["stdout", "stderr", "system"] = "stdout"
    step: Annotated[str, at_most(500)] = ""
    text: Annotated[str, AfterValidator(shown)]


def build_subject(organization: str, deployment: str) -> str:
    return f"log.{organization}.build.{deployment}"


def job_log(deployment: str, job: str) -> str:
    """The name of the object that has what a job of a deployment has printed: a LogLine a line."""
    return f"{deployment}.{job}"


def run_subject(organization: str, service: str) -> str:
    return f"log.{organization}.run.{service}"
