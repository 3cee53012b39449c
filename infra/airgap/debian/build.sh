#!/bin/sh
# debian:trixie-slim by debootstrap, with what lets builds inside reach the same registries as the
# machine: its package mirror, its certificates, its pip, npm and Go settings.
set -eu
name=$1
work=$CACHE/debian-build
command -v debootstrap >/dev/null || { apt-get update -qq && apt-get install -y -qq debootstrap; }
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
	sed -n -e 's/^URIs: *\([^ ]*\).*/\1/p' -e 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' |
	grep -v security | head -n 1)
rm -rf "$work"
debootstrap --variant=minbase --include=ca-certificates trixie "$work" "$mirror"
chroot "$work" apt-get clean
rm -rf "$work"/var/lib/apt/lists/* "$work"/usr/share/doc/* "$work"/usr/share/man/* \
	"$work"/usr/share/locale/* "$work"/var/log/*
# Slim like the official image: no documentation, no translations.
printf 'path-exclude /usr/share/doc/*\npath-exclude /usr/share/man/*\npath-exclude /usr/share/locale/*\n' \
	>"$work/etc/dpkg/dpkg.cfg.d/docker"
printf 'APT::Install-Suggests "0";\nAcquire::Languages "none";\nDpkg::Use-Pty "0";\n' \
	>"$work/etc/apt/apt.conf.d/docker"
bundle=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
if [ -f "$bundle" ]; then cp -L "$bundle" "$work/etc/ssl/certs/ca-certificates.crt"; fi
for file in /etc/pip.conf /etc/npmrc; do
	if [ -f "$file" ]; then cp -L "$file" "$work$file"; fi
done
version=$(cat "$work/etc/debian_version")
set -- --change 'CMD ["bash"]' --change 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt'
set -- "$@" --change 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt'
set -- "$@" --change "LABEL org.opencontainers.image.title=debian org.opencontainers.image.version=$version slipway.airgap=debootstrap"
for variable in PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_CERT NPM_CONFIG_REGISTRY GOPROXY GONOSUMDB GOSUMDB; do
	value=$(printenv "$variable" || true)
	if [ -n "$value" ]; then set -- "$@" --change "ENV $variable=$value"; fi
done
tar -C "$work" -c . | docker import "$@" - "$name"
rm -rf "$work"
