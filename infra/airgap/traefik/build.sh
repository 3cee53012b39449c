#!/bin/sh
# Traefik from its Go module. Four edits, as the module's archive lacks parts of the release:
# a nested module (empty types), the providers of DNS challenges (none), a fork of the digest
# authentication (the original), and the built pages of its dashboard (a placeholder).
set -eu
here=$(CDPATH='' cd -- "$(dirname "$0")" && pwd)
version=3.7.13
program=$CACHE/traefik-$version
if [ ! -x "$program" ]; then
	GO=go
	minor=$(go env GOVERSION 2>/dev/null | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
	if [ "${minor:-0}" -lt 26 ]; then GO=$CACHE/go/bin/go; fi
	folder_of() { "$GO" mod download -json "$1" | sed -n 's/^[[:space:]]*"Dir": "\(.*\)".*/\1/p'; }
	work=$CACHE/traefik-build
	rm -rf "$work" && mkdir -p "$work"
	cp -r "$(folder_of "github.com/traefik/traefik/v3@v$version")" "$work/src"
	chmod -R u+w "$work/src"
	cd "$work/src"
	lego=$(awk '$1 == "github.com/go-acme/lego/v5" { print $2; exit }' go.mod)
	cp -r "$(folder_of "github.com/go-acme/lego/v5@$lego")" "$work/lego"
	chmod -R u+w "$work/lego"
	cp "$here/edits/dns_providers.go.txt" "$work/lego/providers/dns/zz_gen_dns_providers.go"
	mkdir -p pkg/config/dynamic/ext webui/static
	printf 'module github.com/traefik/traefik/dynamic/ext\n\ngo 1.24\n' >pkg/config/dynamic/ext/go.mod
	printf 'package ext\n\ntype HTTP struct{}\n\ntype Router struct{}\n' >pkg/config/dynamic/ext/ext.go
	echo '<!doctype html><title>Traefik</title>' >webui/static/index.html
	sed -i 's/goauth\.CheckSecret,/checkSecret,/' pkg/middlewares/auth/basic_auth.go
	cp "$here/edits/check_secret.go.txt" pkg/middlewares/auth/check_secret.go
	sed -i 's/RequireAuthStale/RequireAuth/' pkg/middlewares/auth/digest_auth.go
	"$GO" mod edit -dropreplace=github.com/abbot/go-http-auth \
		-require=github.com/abbot/go-http-auth@v0.4.0 \
		-replace="github.com/go-acme/lego/v5=$work/lego"
	CGO_ENABLED=0 nice "$GO" build -mod=mod -trimpath \
		-ldflags="-s -w -X github.com/traefik/traefik/v3/pkg/version.Version=$version" \
		-o "$program.part" ./cmd/traefik
	mv "$program.part" "$program"
	cd / && rm -rf "$work"
fi
context=$CACHE/traefik-context
rm -rf "$context" && mkdir -p "$context"
cp "$here/Dockerfile" "$context/"
cp -L "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$context/ca-certificates.crt"
cp "$program" "$context/traefik"
docker build --label "org.opencontainers.image.version=$version" --tag "$1" "$context"
rm -rf "$context"
