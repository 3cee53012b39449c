"""Documents and argument lists of a build. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from slipway.contracts.values import StaticBuild

_ARG = re.compile(r"^[ \t]*ARG[ \t]+(.+)$", re.IGNORECASE | re.MULTILINE)

STATIC_IMAGE = "nginx:stable"
DOCKERFILE = "Dockerfile.slipway"
NGINX = "nginx.slipway.conf"


def static_dockerfile() -> str:
    return (
        f"FROM {STATIC_IMAGE}\n"
        f"COPY --from=conf {NGINX} /etc/nginx/conf.d/default.conf\n"
        "COPY . /usr/share/nginx/html/\n"
        "EXPOSE 80\n"
    )


def nginx_conf(build: StaticBuild) -> str:
    """Files as they are; with `spa` every other address is the start page."""
    fallback = "/index.html" if build.spa else "=404"
    return (
        "server {\n"
        "    listen 80;\n"
        "    server_tokens off;\n"
        "    root /usr/share/nginx/html;\n"
        "    index index.html index.htm;\n"
        "    location ~ /\\.(?!well-known) { return 404; }\n"
        f"    location / {{ try_files $uri $uri/ {fallback}; }}\n"
        "}\n"
    )


def declared_args(dockerfile: str) -> set[str]:
    """Names that the Dockerfile declares with ARG."""
    return {
        word.partition("=")[0]
        for match in _ARG.finditer(dockerfile)
        for word in match[1].split()
        if word.partition("=")[0].isidentifier()
    }


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image. `secrets` are (id, variable of the program's environment that holds it): no secret
    value ever stands in an argument list. `contexts`: folders by the Dockerfile's names of them."""

    file: Path
    context: Path
    tag: str
    labels: Mapping[str, str] = field(default_factory=dict)
    args: Mapping[str, str] = field(default_factory=dict)
    secrets: Sequence[tuple[str, str]] = ()
    contexts: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None
    anew: str | None = None
    """Stages that are not taken from the cache, with commas between; empty for all."""


def prune(address: str) -> list[str]:
    """Removes all of a BuildKit's state that nothing uses just now."""
    return ["buildctl", "--addr", address, "prune", "--all"]


def buildctl(wanted: Wanted, address: str, repository: str, metadata: Path) -> list[str]:
    """`address`: of the BuildKit; `repository`: where it pushes to; `metadata`: a file that says
    the digest afterwards."""
    argv = ["buildctl", "--addr", address, "build", "--progress", "rawjson"]
    argv += ["--frontend", "dockerfile.v0", "--local", f"context={wanted.context}"]
    argv += ["--local", f"dockerfile={wanted.file.parent}", "--opt", f"filename={wanted.file.name}"]
    for name, value in sorted(wanted.labels.items()):
        argv += ["--opt", f"label:{name}={value}"]
    for name, value in sorted(wanted.args.items()):
        argv += ["--opt", f"build-arg:{name}={value}"]
    for id_, variable in wanted.secrets:
        argv += ["--secret", f"id={id_},env={variable}"]
    for name, path in sorted(wanted.contexts.items()):
        argv += ["--local", f"{name}={path}", "--opt", f"context:{name}=local:{name}"]
    if wanted.target:
        argv += ["--opt", f"target={wanted.target}"]
    if wanted.anew is not None:
        argv += ["--opt", f"no-cache={wanted.anew}"]
    argv += ["--output", f"type=image,name={repository}:{wanted.tag},push=true"]
    return [*argv, "--metadata-file", str(metadata)]
