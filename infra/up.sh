#!/bin/sh
# Bring the instance up: what is missing is installed or made, what is right is left alone.
# `up.sh production` leaves the first owner to a one-time token that it prints.
set -eu
. "$(dirname "$0")/environment.sh"
began=$(date +%s)

step "ports free" sh "$ROOT/infra/ports.sh"
step "container engine" sh "$ROOT/infra/engine/ensure.sh"
engine_environment
step "images" sh "$ROOT/infra/images.sh"
control_image=$CACHE/control-image
build_control() {
	sh "$ROOT/infra/control.sh" >"$control_image.$INSTANCE"
}
step "control image" build_control
SLIPWAY_CONTROL_IMAGE=$(tail -n 1 "$control_image.$INSTANCE")

library=$CACHE/library
find_library() {
	sh "$ROOT/infra/library.sh" >"$library.$INSTANCE"
}
step "images for builds" find_library
library=$(tail -n 1 "$library.$INSTANCE")

image_for() { # the image of the list whose repository is $1
	grep -E "^$1:" "$ROOT/infra/images.list" | head -n 1 | cut -d ' ' -f 1
}

mkdir -p "$STATE"
chmod 700 "$STATE"
socket=${DOCKER_HOST:-unix:///var/run/docker.sock}
case $socket in
unix://*) socket=${socket#unix://} ;;
*) fail "the engine at $socket is not on this machine" "unset DOCKER_HOST, or run make up there" ;;
esac
if [ "${1:-}" = production ]; then
	first_owner=false
	PUBLIC_URL=${PUBLIC_URL:-$(public_url "$(hostname -f 2>/dev/null || hostname)")}
	sample=--label=slipway.production=true
else
	first_owner=true
	PUBLIC_URL=${PUBLIC_URL:-$(public_url localhost)}
	docker volume create --label "slipway.instance=$INSTANCE" "${INSTANCE}_sample" >/dev/null
	sample=--volume=${INSTANCE}_sample:/srv/git
fi
export PUBLIC_URL
# systemd's own resolver is on the loopback, where workloads can't ask it: the engine hands on those
# that it asks itself.
SLIPWAY_RESOLVERS=$(cat /etc/resolv.conf /run/systemd/resolve/resolv.conf 2>/dev/null |
	sed -n 's/^nameserver[[:space:]]*\([0-9A-Fa-f.:]*\)$/\1/p' | sort -u | tr '\n' ' ')
SLIPWAY_REGISTRIES=$(sh "$ROOT/infra/registries.sh" | tr '\n' ' ')
export SLIPWAY_RESOLVERS SLIPWAY_REGISTRIES
docker volume create --label "slipway.instance=$INSTANCE" "${INSTANCE}_registry" >/dev/null
docker run --rm --network host "$sample" --label "slipway.instance=$INSTANCE" \
	--volume "${INSTANCE}_registry:/registry" ${library:+--volume "$library:/library/${library##*/}:ro"} \
	--volume "$socket:/var/run/docker.sock" \
	--volume "$STATE:/state" \
	--env SLIPWAY_INSTANCE --env HTTP_PORT --env HTTPS_PORT --env API_PORT --env REGISTRY_PORT --env PUBLIC_URL \
	--env "SLIPWAY_CONTROL_IMAGE=$SLIPWAY_CONTROL_IMAGE" \
	--env "SLIPWAY_NATS_IMAGE=$(image_for nats)" \
	--env "SLIPWAY_MONGO_IMAGE=$(image_for mongo)" \
	--env "SLIPWAY_TRAEFIK_IMAGE=$(image_for traefik)" \
	--env "SLIPWAY_REGISTRY_IMAGE=$(image_for registry)" \
	--env "SLIPWAY_DOOR_IMAGE=$(image_for nginx)" \
	--env "SLIPWAY_BUILDKIT_IMAGE=$(image_for moby/buildkit)" \
	--env SLIPWAY_BUILDKIT_IDLE_SECONDS --env SLIPWAY_IMAGES_KEPT --env SLIPWAY_IMAGES_SECONDS --env SLIPWAY_COLLECT_SECONDS --env SLIPWAY_DISK_FREE_PERCENT --env SLIPWAY_DISK_FREE_ENOUGH --env SLIPWAY_BUILD_LIMITS --env SLIPWAY_BUILD_CEILINGS \
	--env "SLIPWAY_ENGINE_SOCKET=$socket" \
	--env SLIPWAY_STATE=/state \
	--env SLIPWAY_LOG_LEVEL --env SLIPWAY_FAILPOINTS --env SLIPWAY_FAILPOINTS_FILE --env SLIPWAY_TEST_KINDS --env SLIPWAY_VOLUME_KEEP_SECONDS \
	--env SLIPWAY_EGRESS_ALLOW --env SLIPWAY_RESOLVERS --env SLIPWAY_REGISTRIES \
	--env "SLIPWAY_FIRST_OWNER=$first_owner" \
	"$SLIPWAY_CONTROL_IMAGE" python -m slipway_install
# Control images of former days that no instance runs. Younger ones may be another one's, on its way.
# While another prune runs the engine refuses: then they go the next time.
docker image prune --all --force --filter label=slipway.control=true --filter until=24h >/dev/null 2>&1 || true
printf '%-34s %5s s\n' "in all" "$(($(date +%s) - began))"
