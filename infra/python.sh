#!/bin/sh
# Make .venv with what the tests need, from the lock files, and print its Python. Finds Python 3.12
# or newer on PATH, in pyenv or by uv; exit status 3 where there is none.
set -eu
. "$(dirname "$0")/environment.sh"
venv=$ROOT/.venv

recent() { "$1" -c 'import sys, venv; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1; }

find_python() {
	for name in python3.13 python3.12 python3.14 python3; do
		if recent "$name"; then
			command -v "$name"
			return
		fi
	done
	for found in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-9].*/bin/python; do
		if recent "$found"; then
			echo "$found"
			return
		fi
	done
	if command -v uv >/dev/null 2>&1; then
		uv python find '>=3.12' 2>/dev/null && return
		uv python install --quiet 3.13 >/dev/null 2>&1 && uv python find '>=3.12' 2>/dev/null && return
	fi
	return 1
}

if ! recent "$venv/bin/python"; then
	python=$(find_python) || exit 3
	rm -rf "$venv"
	"$python" -m venv "$venv" >&2
fi
wanted=$(cat "$ROOT/requirements.lock" "$ROOT/requirements-dev.lock" | sha256sum | cut -d ' ' -f 1)
if [ "$(cat "$venv/locked" 2>/dev/null)" != "$wanted" ]; then
	if command -v uv >/dev/null 2>&1; then
		uv pip install --quiet --python "$venv/bin/python" --require-hashes \
			--requirement "$ROOT/requirements.lock" --requirement "$ROOT/requirements-dev.lock" >&2
	else
		[ -x "$venv/bin/pip" ] || "$venv/bin/python" -m ensurepip >/dev/null
		"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
			--requirement "$ROOT/requirements.lock" --requirement "$ROOT/requirements-dev.lock" >&2
	fi
	site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
	for folder in shared services/api-gateway services/builder services/deployer services/metrics \
		services/proxy-sync infra/guard infra/install; do
		echo "$ROOT/$folder"
	done >"$site/slipway-sources.pth"
	echo "$wanted" >"$venv/locked"
fi
echo "$venv/bin/python"
