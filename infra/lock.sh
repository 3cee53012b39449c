#!/bin/sh
# Write requirements.lock and requirements-dev.lock from the packages' pyproject.toml files:
# every version with its hashes, and no addresses. For developers, after a dependency changed; what
# is locked already keeps its version, or with UPGRADE=1 takes the newest.
set -eu
cd "$(dirname "$0")/.."
compile() {
	uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-header --no-annotate \
		--no-emit-package slipway-shared --no-emit-package slipway-api-gateway \
		--no-emit-package slipway-builder --no-emit-package slipway-deployer \
		--no-emit-package slipway-proxy-sync --no-emit-package slipway-metrics \
		${UPGRADE:+--upgrade} "$@" >/dev/null
}
compile pyproject.toml --output-file requirements.lock
compile --group pyproject.toml:dev --constraint requirements.lock --output-file requirements-dev.lock
if grep -nE '^(-i|--index|--extra-index|--find-links)|://' requirements.lock requirements-dev.lock; then
	echo "infra/lock.sh: a lock file names an address (above): do not commit it" >&2
	exit 1
fi
