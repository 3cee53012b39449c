# Sourced: `fetch_package NAME FOLDER` unpacks a package of Debian testing, as the engine's are.
fetch_package() {
	_work=$CACHE/airgap-packages/$1
	mkdir -p "$_work/lists/partial" "$_work/cache/archives/partial" "$_work/debs"
	_mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
		sed -n -e 's/^URIs: *\([^ ]*\).*/\1/p' -e 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' |
		grep -v security | head -n 1)
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $_mirror forky main" >"$_work/sources.list"
	set -- "$1" "$2" -o Dir::Etc::sourcelist="$_work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::State::lists="$_work/lists" -o Dir::Cache="$_work/cache" \
		-o Acquire::Check-Valid-Until=false -o APT::Sandbox::User=root -qq
	_name=$1 _into=$2
	shift 2
	if [ -z "$(find "$_work/debs" -name "${_name}_*.deb")" ]; then
		apt-get "$@" update
		(cd "$_work/debs" && apt-get "$@" download "$_name/forky")
	fi
	dpkg -x "$_work"/debs/"$_name"_*.deb "$_into"
}
