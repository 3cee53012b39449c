#!/bin/sh
# The docker client and its buildx plugin, as a holder to copy from.
set -eu
here=$(dirname "$0")
. "$here/../packages.sh"
work=$CACHE/docker-cli-build
rm -rf "$work" && mkdir -p "$work/package"
fetch_package docker-cli "$work/package"
fetch_package docker-buildx "$work/package"
cp "$here/Dockerfile" "$work/package/usr/bin/docker" \
	"$work/package/usr/libexec/docker/cli-plugins/docker-buildx" "$work/"
rm -rf "$work/package"
docker build --tag "$1" "$work"
rm -rf "$work"
