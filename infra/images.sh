#!/bin/sh
# Take care that every image of images.list (name, recipe, whether builds may begin with it) is on
# the engine: one that is there is left alone;
# else it is pulled; where the registry can't be reached, an image of the same name is built from
# the package registries (infra/airgap), labelled with what it really is, and kept in the cache.
# SLIPWAY_AIRGAP=1 never pulls, SLIPWAY_AIRGAP=0 never builds.
set -eu
cd "$(dirname "$0")/.."
CACHE=${SLIPWAY_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/slipway}
if [ -f "$CACHE/engine.env" ]; then . "$CACHE/engine.env"; fi
mkdir -p "$CACHE/images" "$CACHE/logs"
export CACHE

present() { docker image inspect "$1" >/dev/null 2>&1; }

say() { printf '  %-32s %s\n' "$1" "$2"; }

# Asked of the engine, not of the client: it may know a mirror, or a way through a proxy.
registry_reachable() { # registry_reachable IMAGE
	case ${SLIPWAY_AIRGAP:-} in
	1) return 1 ;;
	0) return 0 ;;
	esac
	_answer=$CACHE/logs/pull.log
	docker pull "$1" >"$_answer" 2>&1 &
	_pull=$!
	_left=50
	until grep -qs 'Pulling from' "$_answer"; do # written once the registry has named the layers
		if [ "$_left" -eq 0 ] || ! kill -0 "$_pull" 2>/dev/null; then
			break
		fi
		_left=$((_left - 1))
		sleep 0.2
	done
	kill "$_pull" 2>/dev/null || true
	wait "$_pull" 2>/dev/null || true
	grep -q 'Pulling from' "$_answer"
}

# What was built is only good for the recipe it was built by.
recipe_hash() { find "infra/airgap/$1" infra/airgap/debian -type f -exec cat {} + | sha256sum | cut -c1-12; }

build() { # build NAME RECIPE: from the cache, else anew
	_began=$(date +%s)
	_tar=$CACHE/images/$2-$(recipe_hash "$2").tar
	_how="loaded from the cache"
	if [ ! -f "$_tar" ] || ! docker load --quiet --input "$_tar" >/dev/null 2>&1 || ! present "$1"; then
		_how="built from package registries"
		_log=$CACHE/logs/$2.log
		if ! sh "infra/airgap/$2/build.sh" "$1" >"$_log" 2>&1; then
			tail -n 30 "$_log" >&2
			printf '\n%s could not be built; the end of %s is above\n  next: mend what it names, then run make up again\n' "$1" "$_log" >&2
			return 1
		fi
		docker save --output "$_tar.part" "$1" && mv "$_tar.part" "$_tar"
	fi
	say "$1" "$_how, $(($(date +%s) - _began)) s"
}

missing=
while read -r name recipe _; do
	present "$name" || missing="$missing $name=$recipe"
done <infra/images.list
[ -n "$missing" ] || exit 0

first=${missing%%=*}
if registry_reachable "${first# }"; then
	for item in $missing; do
		began=$(date +%s)
		docker pull --quiet "${item%%=*}" >/dev/null || {
			printf '\n%s could not be pulled\n  next: look at the error above; SLIPWAY_AIRGAP=1 builds it here instead\n' "${item%%=*}" >&2
			exit 1
		}
		say "${item%%=*}" "pulled, $(($(date +%s) - began)) s"
	done
	exit 0
fi

if [ "${SLIPWAY_AIRGAP:-}" != 1 ]; then
	printf '  the engine got no image from a registry: %s\n' "$(tail -n 1 "$CACHE/logs/pull.log")"
fi
echo "  building the images here, from the package registries"
# The longest first: the proxy's program is compiled while the others are made.
long=
for item in $missing; do
	case $item in
	*=traefik)
		build "${item%%=*}" traefik &
		long=$!
		;;
	esac
done
pids=
for item in $missing; do
	case $item in
	*=debian) build "${item%%=*}" debian || exit 1 ;;
	esac
done
present debian:trixie-slim || exit 1
running=0
for item in $missing; do
	case $item in
	*=debian | *=traefik) continue ;;
	*=node) # its many small packages would slow the others down
		for pid in $pids; do wait "$pid" || exit 1; done
		pids=
		;;
	esac
	build "${item%%=*}" "${item#*=}" &
	pids="$pids $!"
	running=$((running + 1))
	if [ $((running % 2)) = 0 ]; then
		for pid in $pids; do wait "$pid" || exit 1; done
		pids=
	fi
done
for pid in $pids $long; do wait "$pid" || exit 1; done
