#!/bin/sh
# The registry (distribution) from its Go module: a static program. Stores in clouds are left out,
# two thirds of what would be compiled.
set -eu
here=$(CDPATH='' cd -- "$(dirname "$0")" && pwd)
. "$here/../go.sh"
version=v3.1.2
module=github.com/distribution/distribution/v3
build_program $module $version cmd/registry "-X $module/version.version=$version" \
	"$CACHE/registry-$version-lean" 'driver\/\(azure\|gcs\|s3-aws\|middleware\)'
context=$CACHE/registry-context
rm -rf "$context" && mkdir -p "$context"
cp "$here/Dockerfile" "$here/config.yml" "$context/"
cp "$CACHE/registry-$version-lean" "$context/registry"
docker build --label "org.opencontainers.image.version=$version" --tag "$1" "$context"
rm -rf "$context"
