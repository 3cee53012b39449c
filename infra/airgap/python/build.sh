#!/bin/sh
# See the Dockerfile beside this.
set -eu
docker build --tag "$1" "$(dirname "$0")"
