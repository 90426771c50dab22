# The C tests on other kernels: Debian's 6.1 and 6.12 (older than some of what the library prefers, with Yama and every
# cgroup controller), and 6.1 on arm64, each in a machine that qemu emulates. tests/kernels/programs says what runs.
set -u
cd "$ROOT" || exit 1
unset MAKEFLAGS MAKELEVEL
. tests/kernels/machine.sh
# An emulated machine is ten times slower: what repeats is done so much less often.
export SANDBOX_TEST_SCALE=20
out=$ROOT/build/test/kernels
mkdir -p "$out"

# build ARCH KERNEL VARIABLE=VALUE...: the kernel's programs and their victims, as programs that need no other file.
build() {
    local arch=$1 kernels=$2
    shift 2
    rm -rf "${out:?}/$arch"
    # shellcheck disable=SC2086
    if make -s -k -C tests/c OUT="$out/$arch" LINK=static PROGRAMS="$(programs $kernels | tr '\n' ' ')" "$@" > "$out/$arch.log" 2>&1; then echo "ok - build for $arch"; return; fi
    cat "$out/$arch.log"
    echo "not ok - build for $arch: $(grep -m1 -iE 'error|no rule' "$out/$arch.log")"
}
modules() { find "$1/lib/modules" -name 'overlay.ko*' 2> /dev/null; }
# A machine is cut off before the suite is, and says what it has not run. One whose own kernel panics (6.12's fair scheduler
# does, rarely, with cgroups that come and go) is started once more, and its last words are kept and told.
boot() { # kernel arch directory busybox name
    local last=$out/$1.panic
    rm -f "$last"
    while :; do
        # shellcheck disable=SC2046
        MACHINE_SECONDS=$((1700 - SECONDS)) machine "$5" "$1" "$2" "$(found "$3/boot/vmlinuz-*")" "$4" "$out/$2" $(modules "$3") > "$out/$1.lines" 2>&1
        if [ -e "$last" ] || ! grep -q "Kernel panic - not syncing" "$out/$1.lines"; then break; fi
        cp "$out/$1.lines" "$last"
    done
    if [ -e "$last" ]; then
        echo "# $5: its kernel panicked, and it was started once more:"
        grep -E "RIP: |Kernel panic" "$last"
    fi >> "$out/$1.lines"
}

if [ "$(uname -m)" != x86_64 ]; then echo "skip - other kernels: the machines are set up for an x86_64 host"; exit 0; fi
# Two machines at once; the third once one of them is through.
build x86_64 "6.1 6.12"
boot 6.1 x86_64 build/kernels/6.1 "$(command -v busybox)" "Linux 6.1" &
boot 6.12 x86_64 build/kernels/6.12 "$(command -v busybox)" "Linux 6.12" &

target=aarch64-unknown-linux-gnu arm=""
if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; then arm="Rust has no $target installed here"
elif ! command -v aarch64-linux-gnu-gcc > /dev/null; then arm="there is no aarch64-linux-gnu-gcc"
elif ! [ -e build/arm64/done ]; then arm="libseccomp and a kernel for arm64 can't be had"
elif ! flock build/cross.lock make -s static TARGET=$target > "$out/static.log" 2>&1; then
    tail -n 20 "$out/static.log"
    echo "not ok - build the library for $target"
    arm="the library is not built"
else
    build aarch64 arm64 CC=aarch64-linux-gnu-gcc INCLUDE="-I$ROOT/include" \
        libs_static="-static $ROOT/build/$target/libsandbox_spawn.a -L$ROOT/build/arm64/usr/lib/aarch64-linux-gnu $(tr '\n' ' ' < build/$target/native-libs)"
fi
wait -n
[ -n "$arm" ] || boot arm64 aarch64 build/arm64 "$(found "build/arm64/*bin/busybox build/arm64/usr/bin/busybox")" "Linux 6.1 on arm64" &
wait
cat "$out/6.1.lines" "$out/6.12.lines"
if [ -n "$arm" ]; then echo "skip - Linux 6.1 on arm64: $arm"; else cat "$out/arm64.lines"; fi
