#!/bin/sh
# Remove the instance with its data: what carries its label, and its file in .slipway. With the last
# instance also the control image; and an engine that we installed is stopped when nothing runs there.
set -eu
. "$(dirname "$0")/environment.sh"
engine_environment
label=label=slipway.instance=$INSTANCE

remove_all() { # remove_all kind: every object of the kind with our label; in use for a moment is tried again
	tries=0
	while objects=$(docker "$1" ls --quiet --filter "$label") && [ -n "$objects" ]; do
		# shellcheck disable=SC2086
		said=$(docker "$1" rm $objects 2>&1) && continue
		tries=$((tries + 1))
		[ "$tries" -le 30 ] || fail "a $1 of $INSTANCE can't be removed: $said" "docker $1 ls --filter $label"
		sleep 1
	done
}
remove_images() {
	images=$(docker image ls --quiet --no-trunc --filter "$label" | sort -u)
	# shellcheck disable=SC2086
	[ -z "$images" ] || docker image rm --force $images >/dev/null
	if [ -z "$(docker volume ls --quiet --filter label=slipway.instance)" ]; then
		images=$(docker image ls --quiet --no-trunc --filter label=slipway.control=true | sort -u)
		# shellcheck disable=SC2086
		[ -z "$images" ] || docker image rm --force $images >/dev/null
	fi
}

if docker info >/dev/null 2>&1; then
	sh "$ROOT/infra/down.sh" purge
	remove_data() {
		# It has a label only while a task is on it; its configuration can't go before it.
		for network in $(docker network ls --format '{{.Name}}' | grep -E "^${INSTANCE}_egress(_[0-9]+)?$"); do
			docker network rm "$network" >/dev/null 2>&1 || true
		done
		for kind in network secret config volume; do remove_all "$kind"; done
	}
	step "networks, secrets, volumes removed" remove_data
	step "images removed" remove_images
fi
rm -f "$ENV_FILE"
rmdir "$STATE" 2>/dev/null || true
# Another instance that is only down still needs the engine; so does whoever sets this variable.
if [ "${SLIPWAY_KEEP_ENGINE:-}" != 1 ] &&
	[ -z "$(docker volume ls --quiet --filter label=slipway.instance 2>/dev/null)" ]; then
	sh "$ROOT/infra/engine/stop.sh"
fi
