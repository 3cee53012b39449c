"""Documents and argument lists of a build. Pure."""

import re
from collections.abc import Mapping, Sequence

from slipway.contracts.values import StaticBuild

_ARG = re.compile(r"^\s*ARG\s+(.+)$", re.IGNORECASE | re.MULTILINE)

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


def clone(url: str, branch: str, folder: str, pinned: str) -> list[str]:
    """`pinned` is `host:port:address`: git connects there, whatever the name says a moment later.
    Redirects would lead past that check. It tells its progress, so that silence means something."""
    return [
        "git", "-c", "http.followRedirects=false", "-c", f"http.curloptResolve={pinned}",
        "-c", "protocol.allow=never", "-c", "protocol.http.allow=always",
        "-c", "protocol.https.allow=always", "-c", "core.hooksPath=/dev/null",
        "clone", "--progress", "--depth", "1", "--single-branch", "--no-tags",
        "--branch", branch, "--", url, folder,
    ]  # fmt: skip


def branches(url: str, pinned: str) -> list[str]:
    return [
        "git", "-c", "http.followRedirects=false", "-c", f"http.curloptResolve={pinned}",
        "ls-remote", "--heads", "--", url,
    ]  # fmt: skip


def describe_commit(folder: str) -> list[str]:
    return ["git", "-C", folder, "log", "-1", "--format=%H%x00%an%x00%s"]


def buildx(
    *,
    file: str,
    context: str,
    tag: str,
    iidfile: str,
    labels: Mapping[str, str],
    args: Mapping[str, str],
    secrets: Sequence[tuple[str, str]],
    contexts: Mapping[str, str] | None = None,
    target: str | None = None,
) -> list[str]:
    """`secrets` are (id, variable of the program's environment that holds it): no secret value
    ever stands in an argument list."""
    argv = ["docker", "buildx", "build", "--builder", "default", "--progress", "rawjson"]
    argv += ["--provenance=false", "--file", file, "--tag", tag, "--iidfile", iidfile]
    for name, value in sorted(labels.items()):
        argv += ["--label", f"{name}={value}"]
    for name, value in sorted(args.items()):
        argv += ["--build-arg", f"{name}={value}"]
    for id_, variable in secrets:
        argv += ["--secret", f"id={id_},env={variable}"]
    for name, path in sorted((contexts or {}).items()):
        argv += ["--build-context", f"{name}={path}"]
    if target:
        argv += ["--target", target]
    return [*argv, context]
