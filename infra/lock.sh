#!/bin/sh
# Write requirements.lock and requirements-dev.lock from the packages' pyproject.toml files:
# every version with its hashes, and no addresses. For developers, after a dependency changed.
set -eu
cd "$(dirname "$0")/.."
uv lock --quiet
export_lock() {
	uv export --frozen --quiet --no-emit-workspace --format requirements-txt \
		--no-header --no-annotate "$@"
}
export_lock --all-packages --no-dev --output-file requirements.lock >/dev/null
export_lock --all-packages --only-dev --output-file requirements-dev.lock >/dev/null
if grep -nE '^(-i|--index|--extra-index|--find-links)|://' requirements.lock requirements-dev.lock; then
	echo "infra/lock.sh: a lock file names an address (above): do not commit it" >&2
	exit 1
fi
