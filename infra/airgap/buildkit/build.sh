#!/bin/sh
# BuildKit's daemon and client from their Go module, on Debian with its runc and git. Caches in the
# stores of clouds are left out.
set -eu
here=$(CDPATH='' cd -- "$(dirname "$0")" && pwd)
. "$here/../go.sh"
version=v0.34.2
module=github.com/moby/buildkit
for program in buildctl buildkitd; do
	build_program $module $version cmd/$program \
		"-X $module/version.Version=$version -X $module/version.Package=$module" \
		"$CACHE/$program-$version-lean" 'azblob\|s3remotecache'
done
context=$CACHE/buildkit-context
rm -rf "$context" && mkdir -p "$context"
cp "$here/Dockerfile" "$context/"
cp -L "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$context/ca-certificates.crt"
for program in buildctl buildkitd; do cp "$CACHE/$program-$version-lean" "$context/$program"; done
docker build --label "org.opencontainers.image.version=$version" --tag "$1" "$context"
rm -rf "$context"
