# Sourced: programs from their Go modules.

# go_program: prints the program, of at least 1.26.
go_program() {
	_minor=$(go env GOVERSION 2>/dev/null | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
	if [ "${_minor:-0}" -lt 26 ]; then echo "$CACHE/go/bin/go"; else echo go; fi
}

# go_build GO argument …: without what only a debugger reads, an eighth of the work. Where memory is
# plenty the compiler doesn't look for what it could give back, a fifth of it. All programs are
# compiled alike, so that each package of the standard library is compiled once.
go_build() {
	_program=$1
	shift
	set -- nice "$_program" build -mod=mod -trimpath -gcflags=all=-dwarf=false "$@"
	if [ "$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo)" -gt 8000000 ]; then
		set -- env GOGC=off GOMEMLIMIT=1GiB "$@"
	fi
	"$@"
}

# folder_of MODULE@VERSION: prints where the module lies, read-only.
folder_of() { "$GO" mod download -json "$1" | sed -n 's/^[[:space:]]*"Dir": "\(.*\)".*/\1/p'; }

# build_program MODULE VERSION FOLDER FLAGS PROGRAM [LEFT]: compiles the program whose source is in
# the module's FOLDER into the file PROGRAM, once. Lines of it that match LEFT are left out. As a
# module of its own: the release's own replacements and exclusions hold, which `go install` refuses.
build_program() {
	[ ! -x "$5" ] || return 0
	GO=$(go_program)
	_folder=$(folder_of "$1@$2")
	_work=$5-build
	rm -rf "$_work" && mkdir -p "$_work"
	cp "$_folder/go.mod" "$_folder/go.sum" "$_folder/$3"/*.go "$_work"
	chmod u+w "$_work"/*
	rm -f "$_work"/*_test.go
	(
		cd "$_work"
		[ -z "${6:-}" ] || sed -i "/$6/d" main.go
		"$GO" mod edit -module=wrapper.local/program -require="$1@$2"
		CGO_ENABLED=0 go_build "$GO" -ldflags="-s -w $4" -o "$5.part" .
	)
	mv "$5.part" "$5"
	rm -rf "$_work"
}
