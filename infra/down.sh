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

# The guard is last: its rules stand while anybody is behind them, and go with it when nobody is left.
but_the_guard() { grep -v -x -e "${INSTANCE}_guard" -e "${INSTANCE}_guard\..*" || true; }

gone() { # wait until no container but the guard's matches the filter; what has not ended in time is killed
	waited=0
	while left=$(docker ps --format '{{.Names}}' --filter "$@" | but_the_guard) && [ -n "$left" ]; do
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
	services=$(docker service ls --format '{{.Name}}' "$@" 2>/dev/null | but_the_guard)
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
	left=$(docker ps --all --format '{{.Names}}' --filter "$label" | but_the_guard)
	# shellcheck disable=SC2086
	[ -z "$left" ] || docker rm --force $left >/dev/null 2>&1 || true
}
stop_guard() { # Swarm removes the container soon after it has ended
	docker service rm "${INSTANCE}_guard" >/dev/null 2>&1 || true
	waited=0
	while [ -n "$(docker ps --all --quiet --filter "label=com.docker.swarm.service.name=${INSTANCE}_guard")" ]; do
		waited=$((waited + 1))
		[ "$waited" -le 150 ] || fail "the guard of $INSTANCE still runs after 30 s" "docker ps --filter $label"
		sleep 0.2
	done
}
step "control plane stopped" stop_control
step "services and proxy stopped" stop_rest
step "rules of the guard removed" stop_guard
