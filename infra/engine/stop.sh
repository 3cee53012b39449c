#!/bin/sh
# Stop the engine that ensure.sh started, if nothing runs on it any more. Its data stays.
set -eu
PREFIX=/opt/slipway-engine
PIDFILE=/run/slipway-engine/docker.pid
[ -f "$PREFIX/installed" ] && [ -f "$PIDFILE" ] || exit 0
PATH=$PREFIX/bin:$PATH
pid=$(cat "$PIDFILE")
kill -0 "$pid" 2>/dev/null || exit 0
if [ -n "$(docker ps --quiet)" ]; then
	echo "the engine keeps running: containers that are not ours run on it"
	exit 0
fi
kill "$pid"
left=150
while kill -0 "$pid" 2>/dev/null && [ "$left" -gt 0 ]; do
	left=$((left - 1))
	sleep 0.2
done
