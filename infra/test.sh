#!/bin/sh
# Run tests: `test.sh quick|all|e2e|bench|api|release-schema`. What needs the platform runs on an instance of its own,
# brought up as a user brings one up and removed after. pytest's closing line is printed last.
set -eu
: "${SLIPWAY_INSTANCE:=slipway-test}"
export SLIPWAY_INSTANCE
. "$(dirname "$0")/environment.sh"
cd "$ROOT"
mode=${1:-all}
shift || true
# What is compiled is kept, the tests with it: each of pytest's processes would compile all of it anew.
unset PYTHONDONTWRITEBYTECODE
engine_environment

left_out=
if python=$(sh infra/python.sh); then
	run() { "$python" -m "$@"; }
elif [ $? -eq 3 ]; then
	# No Python 3.12 here: everything Python runs in an image made of the control image. From there
	# no engines of the tests' own can be started.
	left_out=--ignore=tests/machines
	sh infra/engine/ensure.sh
	engine_environment
	sh infra/images.sh
	DOCKER_BUILDKIT=1 docker build --quiet --file infra/control/Dockerfile --target tests \
		--label slipway.control=true --tag slipway/tests:latest . >/dev/null
	run() {
		docker run --rm --network host --pid host --volume "$ROOT:$ROOT" --workdir "$ROOT" \
			--volume /var/run/docker.sock:/var/run/docker.sock --volume /tmp:/tmp \
			--env SLIPWAY_INSTANCE --env HTTP_PORT --env HTTPS_PORT --env API_PORT --env REGISTRY_PORT \
			--env "PYTHONPATH=$(echo shared services/*/ infra/guard infra/install | tr ' ' ':')" \
			slipway/tests:latest python -m "$@"
	}
else
	exit 1
fi

static=0
static_checks() { # what they find fails the run, but only at its end
	run tests.architecture.static_checks || static=1
}
programs() { # what tests run on this machine
	ensure_program curl curl "the walk of docs/api.md needs"
	ensure_program jq jq "the walk of docs/api.md needs"
	ensure_program nft nftables "the guard's rules are tried with"
	ensure_program gcc gcc "lifeline is tried by itself with"
}
ensure_program() { # ensure_program PROGRAM PACKAGE "who needs"
	command -v "$1" >/dev/null && return
	command -v apt-get >/dev/null || fail "$3 $1" "install it, then run the tests again"
	apt-get update -qq
	apt-get install -y -qq "$2" >/dev/null
}
instance_up() { # with workloads as they are, volumes and images that go soon, and fail points armed by this file in a container
	SLIPWAY_FAILPOINTS_FILE=/tmp/failpoints SLIPWAY_TEST_KINDS=true SLIPWAY_VOLUME_KEEP_SECONDS=20 \
		SLIPWAY_IMAGES_SECONDS=2 SLIPWAY_COLLECT_SECONDS=5 sh infra/up.sh
	engine_environment
}
closing=
instance_gone() {
	status=$?
	trap - EXIT INT TERM
	[ "${KEEP:-}" = 1 ] || SLIPWAY_KEEP_ENGINE=1 sh infra/purge.sh >"$CACHE/purge.$INSTANCE.log" 2>&1 || cat "$CACHE/purge.$INSTANCE.log" >&2
	[ -z "$closing" ] || echo "$closing"
	exit "$status"
}

tests() { # tests pytest's arguments …; remembers the closing line
	report=$(mktemp)
	if { run pytest "$@" 2>&1 || echo "exit status $?"; } | tee "$report" | grep --line-buffered -v '^exit status '; then :; fi
	closing=$(grep -E '^=*.*(passed|failed|error|no tests ran).* in [0-9.]+' "$report" | tail -n 1)
	failed=$(grep -c '^exit status ' "$report" || true)
	rm -f "$report"
	[ "$static" -eq 0 ] || echo "static checks failed: what they found is above the tests" >&2
	[ "$failed" -eq 0 ] && [ "$static" -eq 0 ]
}

case $mode in
quick)
	# Both at once: neither keeps two cores busy. What the checks found stands above the closing line.
	found=$(mktemp)
	run tests.architecture.static_checks >"$found" 2>&1 &
	checks=$!
	failed_tests=0
	tests --numprocesses 3 tests/unit tests/architecture "$@" || failed_tests=1
	wait "$checks" || static=1
	cat "$found"
	rm -f "$found"
	[ "$static" -eq 0 ] || echo "static checks failed: what they found is above" >&2
	echo "$closing"
	[ "$failed_tests" -eq 0 ] && [ "$static" -eq 0 ]
	;;
all)
	static_checks
	[ -n "$left_out" ] || programs
	instance_up
	mkdir -p "$CACHE"
	trap instance_gone EXIT INT TERM
	[ -z "$left_out" ] || echo "tests/machines are left out: they need Python 3.12 or newer on this machine"
	# Two at once: see tests/conftest.py.
	tests --numprocesses 2 --durations 40 --durations-min 5 ${left_out:+"$left_out"} "$@"
	;;
e2e)
	[ -n "$left_out" ] || programs
	instance_up
	trap instance_gone EXIT INT TERM
	tests tests/e2e "$@"
	;;
bench)
	instance_up
	trap instance_gone EXIT INT TERM
	run tests.bench "$@"
	;;
api)
	run tests.architecture.event_samples
	run tests.architecture.documents
	;;
release-schema)
	run tests.architecture.event_samples --release ${FIRST:+--first}
	;;
*)
	fail "test.sh does not know '$mode'" "quick, all, e2e, bench, api or release-schema"
	;;
esac
