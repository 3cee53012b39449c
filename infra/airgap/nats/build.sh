#!/bin/sh
# nats-server of Debian testing: a static Go program.
set -eu
here=$(dirname "$0")
. "$here/../packages.sh"
work=$CACHE/nats-build
rm -rf "$work" && mkdir -p "$work/package"
fetch_package nats-server "$work/package"
cp "$here/Dockerfile" "$here/entrypoint.sh" "$work/package/usr/sbin/nats-server" "$work/"
rm -rf "$work/package"
docker build --label "org.opencontainers.image.version=$("$work/nats-server" --version | sed 's/.*v//')" \
	--tag "$1" "$work"
rm -rf "$work"
