"""`python -m tests.architecture.documents`: writes those parts of docs/settings.md and docs/api.md
that stand between `<!-- generated: … -->` and `<!-- end -->`."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin

from api_gateway.app import FEATURES
from api_gateway.http.application import build
from api_gateway.settings import GatewaySettings
from builder.settings import BuilderSettings
from deployer.settings import DeployerSettings
from metrics.settings import MetricsSettings
from proxy_sync.settings import ProxySettings
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from slipway.contracts.limits import BuildCeilings, BuildLimits
from slipway.runtime.settings import Settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = (DOCS / "settings.md", DOCS / "api.md")
MODELS: dict[str, type[Settings]] = {
    "every service": Settings,
    "api-gateway": GatewaySettings,
    "builder": BuilderSettings,
    "deployer": DeployerSettings,
    "proxy-sync": ProxySettings,
    "metrics": MetricsSettings,
}
_SOURCES = {
    "gateway": "services/api-gateway/api_gateway",
    "builder": "services/builder/builder",
    "deployer": "services/deployer/deployer",
    "proxy-sync": "services/proxy-sync/proxy_sync",
}
_TYPES: dict[Any, str] = {
    str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path",
    BuildLimits: "JSON", BuildCeilings: "JSON",
}  # fmt: skip
_GENERATED = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


@functools.cache
def operations() -> list[tuple[str, str, dict[str, Any]]]:
    """(METHOD, path, operation) of the API's own description, by path."""
    paths = build(cast(Any, None), FEATURES).openapi()["paths"]
    return [
        (method.upper(), path, operation)
        for path, item in sorted(paths.items())
        for method, operation in item.items()
    ]


def _operations() -> Iterator[str]:
    yield "| operation | needs | |\n|---|---|---|"
    for method, path, operation in operations():
        said = " ".join(operation.get("description", "").split())
        yield f"| `{method} {path}` | {operation.get('x-needs', 'nothing')} | {said} |"


def _calls(folder: str) -> Iterator[ast.Call]:
    for file in sorted((ROOT / folder).rglob("*.py")):
        yield from (n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Call))


def _reasons() -> Iterator[str]:
    yield "| said by | reasons |\n|---|---|"
    for name, folder in _SOURCES.items():
        found = {
            keyword.value.value
            for call in _calls(folder)
            for keyword in call.keywords
            if keyword.arg == "reason"
            and isinstance(keyword.value, ast.Constant)
            and isinstance(keyword.value.value, str)
            if getattr(call.func, "id", "") == "Failure"
        }
        yield f"| {name} | {', '.join(f'`{reason}`' for reason in sorted(map(str, found)))} |"


def slugs() -> set[str]:
    """Of every problem that the gateway answers with: `slug = "…"` of an error, and those given to
    `problem` and `refusing` directly."""
    found: set[str] = set()
    for folder in ("services/api-gateway/api_gateway", "shared/slipway"):
        for file in (ROOT / folder).rglob("*.py"):
            text = file.read_text()
            found |= set(re.findall(r'\bslug(?:: ClassVar\[str\])? = "([a-z-]+)"', text))
            found |= set(re.findall(r'(?:problem\(\s*\d+,|refusing\()\s*"([a-z-]+)"', text))
            for table in re.findall(r"_SLUGS = \{(.*?)\}", text):
                found |= set(re.findall(r'"([a-z-]+)"', table))
    return found


def _type(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(field.annotation))
    return _TYPES[field.annotation]


def _default(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case BuildLimits():
            return value.model_dump_json()
        case _:
            return str(value)


def _rows(model: type[Settings], beside: set[str]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if name in beside:
            continue
        said = " ".join((field.description or "").split())
        if field.annotation is SecretStr:
            yield f"| `SLIPWAY_{name.upper()}` | secret `{name}` | | {said} |"
        else:
            default = _default(field.default)
            shown = f"`{default}`" if default else ""
            yield f"| `SLIPWAY_{name.upper()}` | {_type(field)} | {shown} | {said} |"


def _settings() -> Iterator[str]:
    for name, model in MODELS.items():
        shared = set() if model is Settings else set(Settings.model_fields)
        yield f"### {name}\n\n| variable | type | default | |\n|---|---|---|---|"
        yield from _rows(model, shared)
        yield ""


def written(page: Path) -> str:
    """The page as it has to be."""
    parts = {"operations": _operations, "reasons": _reasons, "settings": _settings}
    return _GENERATED.sub(
        lambda found: found[1] + "\n".join(parts[found[2]]()) + "\n" + found[3], page.read_text()
    )


def main() -> None:
    for page in PAGES:
        page.write_text(written(page))


if __name__ == "__main__":
    main()
