#!/bin/sh
# Stop all that this instance runs, and nothing else: what carries its label. Data, secrets and
# networks are kept; `make up` brings everything back, deployed services included.
set -eu
. "$(dirname "$0")/environment.sh"
engine_environment
label=label=slipway.instance=$INSTANCE
# Seconds that programs have to end, whatever their own grace is: less where their data goes too.
patience=90
[ "${1:-}" != purge ] || patience=10

if ! docker info >/dev/null 2>&1; then
	echo "no engine answers: nothing runs"
	exit 0
fi

gone() { # wait until no container matches the filter; what has not ended in time is killed
	waited=0
	while left=$(docker ps --quiet --filter "$@") && [ -n "$left" ]; do
		waited=$((waited + 1))
		[ "$waited" -le "$((patience + 30))" ] ||
			fail "containers of $INSTANCE still run, though they were killed" "docker ps --filter $label"
		# shellcheck disable=SC2086 # one word each
		if [ "$waited" -gt "$patience" ]; then
			[ "$waited" -gt "$((patience + 1))" ] || echo "  not ended after $patience s, so killed:" $left
			docker kill $left >/dev/null 2>&1 || true
		fi
		sleep 1
	done
}

remove_services() { # remove_services filter…
	services=$(docker service ls --quiet "$@" 2>/dev/null)
	# shellcheck disable=SC2086 # one word each
	[ -z "$services" ] || docker service rm $services >/dev/null
}

# First the control plane: a deployer that still runs would put the releases back.
stop_control() {
	remove_services --filter "label=com.docker.stack.namespace=$INSTANCE" --filter "$label"
	gone "label=com.docker.stack.namespace=$INSTANCE"
}
# Then the releases, while Traefik still serves what is open; then plain containers.
stop_rest() {
	remove_services --filter "$label"
	gone "$label" --filter label=com.docker.swarm.service.id
	left=$(docker ps --all --quiet --filter "$label")
	# shellcheck disable=SC2086
	[ -z "$left" ] || docker rm --force $left >/dev/null 2>&1 || true
}
step "control plane stopped" stop_control
step "services and proxy stopped" stop_rest
