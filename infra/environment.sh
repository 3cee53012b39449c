# Sourced by the other scripts: the instance, its ports, and where things are kept.
# Settings: SLIPWAY_INSTANCE, HTTP_PORT, HTTPS_PORT, API_PORT, REGISTRY_PORT, PUBLIC_URL, SLIPWAY_CACHE.
ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
INSTANCE=${SLIPWAY_INSTANCE:-slipway}
CACHE=${SLIPWAY_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/slipway}
STATE=$ROOT/.slipway

fail() { # fail "what is wrong" "the next step"
	printf '\n%s\n  next: %s\n' "$1" "$2" >&2
	exit 1
}

case $INSTANCE in
[!a-z]* | *[!a-z0-9-]* | *- | ?????????????????????*)
	fail "SLIPWAY_INSTANCE=$INSTANCE can't be a name: lower-case letters, digits and dashes, at most 20" \
		"choose another, such as slipway-two"
	;;
esac

if [ "$INSTANCE" = slipway ]; then
	ENV_FILE=$STATE/env
	PORTS='80 443 4000'
else
	ENV_FILE=$STATE/$INSTANCE.env
	PORTS='18080 18443 14000'
fi
set_ports() {
	HTTP_PORT=${HTTP_PORT:-$1}
	HTTPS_PORT=${HTTPS_PORT:-$2}
	API_PORT=${API_PORT:-$3}
}
# shellcheck disable=SC2086
set_ports $PORTS
# What is no number is told by infra/ports.sh.
REGISTRY_PORT=${REGISTRY_PORT:-$(expr "$API_PORT" + 1000 2>/dev/null || true)}
PUBLIC_URL=${PUBLIC_URL:-}
PUBLIC_URL=${PUBLIC_URL%/}
case $PUBLIC_URL in
'' | http://?* | https://?*) ;;
*) fail "PUBLIC_URL=$PUBLIC_URL is not an address" "give it with its scheme, as http://$PUBLIC_URL" ;;
esac
public_url() { # public_url host: where that host's HTTP port is reached
	if [ "$HTTP_PORT" = 80 ]; then
		printf 'http://%s' "$1"
	else
		printf 'http://%s:%s' "$1" "$HTTP_PORT"
	fi
}
export SLIPWAY_CACHE="$CACHE" SLIPWAY_INSTANCE="$INSTANCE" HTTP_PORT HTTPS_PORT API_PORT REGISTRY_PORT

engine_environment() { # the engine that infra/engine/ensure.sh found or started
	if [ -f "$CACHE/engine.env" ]; then
		. "$CACHE/engine.env"
	fi
}

step() { # step "name" command …: shows it with its duration
	_name=$1
	shift
	_began=$(date +%s)
	"$@" || exit 1
	printf '%-34s %5s s\n' "$_name" "$(($(date +%s) - _began))"
}
