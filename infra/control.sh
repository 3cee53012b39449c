#!/bin/sh
# Build the control image, named after its inputs: nothing to do where it exists already.
# Prints the image's name as its last line.
set -eu
. "$(dirname "$0")/environment.sh"
engine_environment
cd "$ROOT"

inputs() {
	find infra/control infra/guard infra/install infra/lifeline infra/sample infra/stack*.yml requirements.lock \
		shared/slipway services -type f \
		! -path '*/__pycache__/*' ! -path '*/clients/*' ! -name '*.pyc' ! -name '.*' | LC_ALL=C sort
}

hash=$({
	inputs | while read -r file; do sha256sum "$file"; done
	docker image inspect --format '{{.Id}}' python:3.13-slim docker:28-cli moby/buildkit:v0.34.2
} | sha256sum | cut -c1-16)
image=slipway/control:$hash

if ! docker image inspect "$image" >/dev/null 2>&1; then
	mkdir -p "$CACHE"
	log=$CACHE/control-build.log
	if ! DOCKER_BUILDKIT=1 docker build --progress plain --file infra/control/Dockerfile --target control \
		--label slipway.control=true --tag "$image" . >"$log" 2>&1; then
		tail -n 40 "$log" >&2
		fail "the control image could not be built; the end of $log is above" \
			"mend what it names, then run make up again"
	fi
fi
echo "$image"
