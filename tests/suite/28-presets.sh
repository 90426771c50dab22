# Presets: the C program as root and as an ordinary user, and once without a shared library.
set -u
theme=presets programs=presets
. "$ROOT/tests/as-users.sh"

if build presets-dynamic LINK=dynamic; then as_users presets-dynamic; fi
through=("${become[@]}")
if build presets-static LINK=static; then each static presets-static; fi
