# The child's file system: the C programs as root and as an ordinary user, and once more without a shared library.
set -u
theme=mount programs="mount mount-attacks escape mount-sources mount-errors overlay tree thousand details"
. "$ROOT/tests/as-users.sh"

mounts=$(wc -l </proc/self/mountinfo)
if build mount-dynamic; then as_users mount-dynamic; fi
if build mount-static CC=clang LINK=static; then run static mount-static mount "a new root" "bind" "dev" "mask"; fi
if [ "$(wc -l </proc/self/mountinfo)" = "$mounts" ]; then echo "ok - no mount is left on the host"
else echo "not ok - no mount is left on the host: $mounts before, $(wc -l </proc/self/mountinfo) now"; fi
