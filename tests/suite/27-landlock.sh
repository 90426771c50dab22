# Landlock: the C program as root and as an ordinary user, on this kernel as it is and with each older ABI, which a
# supervisor of the library's own plays; and once more without a shared library and under AddressSanitizer.
set -u
theme=landlock programs=landlock
. "$ROOT/tests/as-users.sh"

if build landlock-dynamic; then
    as_users landlock-dynamic
    # shellcheck disable=SC2046
    if cc -O1 -Wall -Wextra -o "$work/older" "$ROOT/tests/c/victims/older.c" $(pkg-config --cflags --libs sandbox_spawn) >"$work/log" 2>&1; then
        for abi in 0 1 2 3 4 5 6; do
            through=("${become[@]}" "$work/older" $abi)
            run "ABI $abi, user" landlock-dynamic landlock
        done
        through=("$work/older" 1)
        if [ $who = root ]; then run "ABI 1, root" landlock-dynamic landlock; fi
        through=()
    else
        echo "not ok - build older: $(head -n 1 "$work/log")"
    fi
fi
if build landlock-static LINK=static; then each static landlock-static; fi
sanitized landlock-asan
