#!/bin/sh
# Traefik from its Go module. Four edits, as the module's archive lacks parts of the release:
# a nested module (empty types), the providers of DNS challenges (none), a fork of the digest
# authentication (the original), and the built pages of its dashboard (a placeholder).
# More than half of what would be compiled are clients that Slipway never uses: the providers for
# Kubernetes and AWS say that they are absent, and nobody looks for new versions.
set -eu
here=$(CDPATH='' cd -- "$(dirname "$0")" && pwd)
. "$here/../go.sh"
version=3.7.13
program=$CACHE/traefik-$version-lean
if [ ! -x "$program" ]; then
	GO=$(go_program)
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
	for provider in ecs kubernetes/crd kubernetes/gateway kubernetes/ingress kubernetes/ingress-nginx kubernetes/knative; do
		rm -r "pkg/provider/$provider" && mkdir "pkg/provider/$provider"
		name=$(basename "$provider" | tr -d -)
		sed "s/NAME/$name/" "$here/edits/absent_provider.go.txt" >"pkg/provider/$provider/absent.go"
	done
	cp "$here/edits/no_cluster.go.txt" pkg/types/k8sdetector.go
	sed -i -e '/^\/\/ CheckNewVersion/,$d' -e '/go-github\|go-version\|"context"/d' pkg/version/version.go
	echo 'func CheckNewVersion() {}' >>pkg/version/version.go
	"$GO" mod edit -dropreplace=github.com/abbot/go-http-auth \
		-require=github.com/abbot/go-http-auth@v0.4.0 \
		-replace="github.com/go-acme/lego/v5=$work/lego"
	CGO_ENABLED=0 go_build "$GO" \
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
