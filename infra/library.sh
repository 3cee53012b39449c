#!/bin/sh
# Make the archive of the registry's library: the images of images.list that builds may begin with and
# that were built here. Once for each set of them; where all came from a registry there is none.
# Prints the archive's path, or an empty line, as its last line.
# `library.sh IMAGE …` puts these, from the engine, into the library of the running instance.
set -eu
. "$(dirname "$0")/environment.sh"
engine_environment
cd "$ROOT"
filler=$INSTANCE-library-$$
label=slipway.instance=$INSTANCE # what is left of a run that was killed goes with the instance

fill() { # fill VOLUME IMAGE …: through a registry of its own, on the same files
	volume=$1
	shift
	docker run --detach --rm --name "$filler" --label "$label" --publish 127.0.0.1::5000 \
		--volume "$volume:/var/lib/registry" "$(grep '^registry:' infra/images.list | cut -d ' ' -f 1)" >/dev/null
	at=$(docker port "$filler" 5000/tcp | head -n 1)
	says pushing
	tries=0
	while [ "$tries" -lt 900 ] && docker cp "$filler:/var/lib/registry/collecting" - >/dev/null 2>&1; do
		tries=$((tries + 1))
		sleep 1
		says pushing
	done
	for name in "$@"; do
		says pushing
		docker tag "$name" "$at/library/$name"
		push "$at/library/$name"
		docker image rm "$at/library/$name" >/dev/null
	done
	says done
	docker stop --time 5 "$filler" >/dev/null
}
says() { # says pushing|done: the instance's registry does not collect what is being pushed; it is
	# believed for ten minutes
	word=$(mktemp -d)
	echo "$1" >"$word/library"
	docker cp --quiet "$word/library" "$filler:/var/lib/registry/library"
	rm -r "$word"
}
push() { # push IMAGE: a registry that has just begun may not listen yet
	tries=0
	until said=$(docker push --quiet "$1" 2>&1); do
		tries=$((tries + 1))
		[ "$tries" -lt 20 ] || fail "$1 could not be pushed: $said" "docker ps --filter label=$label"
		sleep 0.5
	done
}
gone() {
	docker rm --force "$filler" >/dev/null 2>&1 || true
	[ "${volume:-}" != "$filler" ] || docker volume rm "$filler" >/dev/null 2>&1 || true
	[ -z "${part:-}" ] || rm -f "$part"
}
trap gone EXIT INT TERM

if [ $# -gt 0 ]; then
	fill "${INSTANCE}_registry" "$@"
	exit 0
fi

names=
ids=
while read -r name _ library; do
	[ "$library" = library ] || continue
	made=$(docker image inspect --format '{{.Id}} {{index .Config.Labels "slipway.airgap"}}' "$name")
	[ -n "${made#* }" ] || continue
	names="$names $name"
	ids="$ids $name=${made%% *}"
done <infra/images.list
if [ -z "$names" ]; then
	echo
	exit 0
fi
archive=$CACHE/images/library-$(echo "$ids" | sha256sum | cut -c1-12).tar
if [ ! -f "$archive" ]; then
	part=$archive.$$ # another instance may be making the same
	docker volume create --label "$label" "$filler" >/dev/null
	# shellcheck disable=SC2086
	fill "$filler" $names
	docker run --rm --volume "$filler:/store:ro" debian:trixie-slim \
		tar -C /store/docker/registry/v2 -cf - blobs repositories >"$part"
	find "$CACHE/images" -name 'library-*.tar' -mtime +30 -delete
	mv "$part" "$archive"
fi
echo "$archive"
