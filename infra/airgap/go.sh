# Sourced: `build_program MODULE VERSION PACKAGE FLAGS PROGRAM` compiles a program of a Go module
# into the file PROGRAM, once. As a module of its own: the release's own replacements and
# exclusions hold, which `go install` refuses.
build_program() {
	[ ! -x "$5" ] || return 0
	_go=go
	_minor=$(go env GOVERSION 2>/dev/null | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
	if [ "${_minor:-0}" -lt 26 ]; then _go=$CACHE/go/bin/go; fi
	_folder=$("$_go" mod download -json "$1@$2" | sed -n 's/^[[:space:]]*"Dir": "\(.*\)".*/\1/p')
	_work=$5-build
	rm -rf "$_work" && mkdir -p "$_work"
	cp "$_folder/go.mod" "$_folder/go.sum" "$_work"
	chmod u+w "$_work"/go.*
	(
		cd "$_work"
		"$_go" mod edit -module=wrapper.local/program -require="$1@$2"
		CGO_ENABLED=0 nice "$_go" build -mod=mod -trimpath -ldflags="-s -w $4" -o "$5.part" "$3"
	)
	mv "$5.part" "$5"
	rm -rf "$_work"
}
