#!/bin/sh
# Print the URLs of the package registries that this machine is set up with, one a line. Those that
# have no public address are let through to builds: `make up` hands them to the installation.
set -eu

known() { # known PROGRAM argument …: what it says, where there is such a program
	if command -v "$1" >/dev/null; then "$@" 2>/dev/null || true; fi
}

{
	known go env GOPROXY | tr ',|' '\n\n'
	known npm config get registry
	for key in index-url extra-index-url; do
		known pip3 config get "global.$key" | tr ' ' '\n'
	done
	echo "${PIP_INDEX_URL:-}"
	cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
		sed -n -e 's/^URIs: *\([^ ]*\).*/\1/p' -e 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p'
	sed -n 's/^ *\(index\|registry\) *= *"\(sparse+\)\{0,1\}\([^"]*\)".*/\3/p' \
		"${CARGO_HOME:-${HOME:-/root}/.cargo}/config.toml" 2>/dev/null
} | grep -E '^https?://' | sort -u || true
