#!/bin/sh
# Are the ports free, or held by this instance? A port that something else holds is an error that
# names the holder. Asks the engine where there is one, and /proc: needs no other program.
set -eu
. "$(dirname "$0")/environment.sh"
engine_environment

container_on() { # the running container that publishes port $1
	docker ps --filter "publish=$1/tcp" --format '{{.Names}}' 2>/dev/null | head -n 1
}

ours_on() {
	[ -n "$(docker ps --quiet --filter "label=slipway.instance=$INSTANCE" \
		--filter "publish=$1/tcp" 2>/dev/null)" ]
}

sockets_on() { # inodes of the sockets that listen on port $1, on any or a loopback address
	awk -v port="$(printf '%04X' "$1")" -v all="$2" '
		$4 == "0A" {
			n = split($2, at, ":")
			address = at[1]
			wide = address ~ /^0+$/ || address ~ /^0+FFFF0000+$/
			loopback = address ~ /7F$/ || address ~ /0+01000000$/
			if (at[n] == port && (all == "all" || wide || loopback)) print $10
		}' /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

process_of() { # "name (pid N)" that has the socket with inode $1
	for descriptor in /proc/[0-9]*/fd/*; do
		if [ "$(readlink "$descriptor" 2>/dev/null)" = "socket:[$1]" ]; then
			pid=${descriptor#/proc/}
			pid=${pid%%/*}
			printf '%s (pid %s)' "$(cat "/proc/$pid/comm" 2>/dev/null)" "$pid"
			return
		fi
	done
	printf 'a process of another user'
}

ours=
check() { # check VARIABLE port all|loopback
	case $2 in
	'' | 0* | *[!0-9]* | ??????* | 6553[6-9] | 655[4-9]? | 65[6-9]?? | 6[6-9]??? | [7-9]????)
		fail "$1=$2 is not a port" "give a number from 1 to 65535"
		;;
	esac
	case " $ours " in
	*" $2 "*) fail "port $2 ($1) is another of ours too" "choose another: make up $1=…" ;;
	esac
	ours="$ours $2"
	if ours_on "$2"; then
		return
	fi
	holder=$(container_on "$2")
	if [ -n "$holder" ]; then
		holder="the container $holder"
	else
		inode=$(sockets_on "$2" "$3" | head -n 1)
		[ -n "$inode" ] || return 0
		holder=$(process_of "$inode")
	fi
	fail "port $2 ($1) is taken by $holder" "stop it, or choose another port: make up $1=…"
}

check HTTP_PORT "$HTTP_PORT" all
check HTTPS_PORT "$HTTPS_PORT" all
check API_PORT "$API_PORT" loopback
check REGISTRY_PORT "$REGISTRY_PORT" loopback
