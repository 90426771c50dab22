# Sourced by suites: runs C tests on another kernel, in a machine that qemu emulates. What runs there is listed in
# tests/kernels/programs; what the machine does with it, in tests/kernels/init.

# The kernel and the busybox that tools/setup unpacked, by a pattern; nothing where there is none.
found() { ls $1 2> /dev/null | head -n 1; }

# listed KERNEL...: the lines of the programs for one of these kernels, without the kernels.
listed() {
    sed 's/#.*//' "${MACHINE_PROGRAMS:-$ROOT/tests/kernels/programs}" | awk -v kernels="$*" '
        BEGIN { count = split(kernels, kernel, " ") }
        NF >= 3 { here = $3 == "all"; for (i = 1; i <= count; i++) if (index("," $3 ",", "," kernel[i] ",")) here = 1; $3 = ""; if (here) print }'
}
# programs KERNEL...: their names, each once.
programs() { listed "$@" | awk '!seen[$1]++ { print $1 }'; }

# titles KERNEL: what the machine calls each of its runs.
titles() {
    listed "$1" | while read -r program who settings; do
        [ "$who" = both ] && who="root user"
        for name in $who; do echo "$name, $program${settings:+ ($settings)}"; done
    done
}

# no_timer_check: on a loaded host the emulated timer may be late for the kernel's look at it, which would be its end.
# machine NAME KERNEL ARCH IMAGE BUSYBOX DIRECTORY [MODULE]...: boots the kernel's image with the programs of the
# directory, and prints their lines. Give it the output to somewhere: two may run at once. A machine has more threads than
# what else is tested meanwhile, which is not to wait for it: it is the nicer one.
machine() {
    local name=$1 kernel=$2 arch=$3 image=$4 busybox=$5 programs=$6 qemu console needed work title
    shift 6
    case $arch in
        x86_64) qemu=(qemu-system-x86_64 -M q35 -cpu "max,la57=off,cx16=off") console=ttyS0 ;;
        aarch64) qemu=(qemu-system-aarch64 -M virt -cpu cortex-a72) console=ttyAMA0 ;;
    esac
    for needed in "${image:-a kernel for it}" "${busybox:-a static busybox for it}" "$(command -v "${qemu[0]}" || echo "${qemu[0]}")" "$(command -v cpio || echo cpio)"; do
        [ -e "$needed" ] || { echo "skip - $name: runs in an emulated machine: there is no $needed"; return 0; }
    done
    work=$(mktemp -d)
    mkdir -p "$work"/root/{bin,proc,sys,dev,tmp,etc,tests}
    cp "$busybox" "$work/root/bin/busybox"
    cp "$ROOT/tests/kernels/init" "$work/root/init"
    cp "$programs"/* "$work/root/tests/"
    for needed in "$@"; do
        case $needed in
            *.xz) xz -dc "$needed" > "$work/root/tests/$(basename "$needed" .xz)" ;;
            *) cp "$needed" "$work/root/tests/" ;;
        esac
    done
    listed "$kernel" > "$work/root/tests/list"
    echo "${SANDBOX_TEST_SCALE:-1}" > "$work/root/tests/scale"
    printf '%s\n' root:x:0:0::/:/bin/sh user:x:1000:1000::/tmp:/bin/sh nobody:x:65534:65534::/:/bin/sh > "$work/root/etc/passwd"
    printf '%s\n' root:x:0: user:x:1000: nogroup:x:65534: > "$work/root/etc/group"
    printf 'user:100000:65536\n' | tee "$work/root/etc/subuid" > "$work/root/etc/subgid"
    chmod -R go=rX "$work/root"
    chmod 755 "$work/root/init" "$work/root/bin/busybox"
    (cd "$work/root" && find . | cpio -o -H newc -R 0:0 --quiet) > "$work/initrd"
    timeout --kill-after=5 "${MACHINE_SECONDS:-600}" nice -n 5 "${qemu[@]}" -accel tcg -m 1024 -smp "${MACHINE_CPUS:-2}" -nic none -nographic -no-reboot -kernel "$image" \
        -initrd "$work/initrd" -append "console=$console quiet panic=-1 oops=panic no_timer_check" < /dev/null 2>&1 | sed -u 's|\r||g' > "$work/console"
    sed -nE "s/^.*@(#.*|took .*)$/# $name: \1/p; s/^.*@(ok|not ok|skip) - /\1 - $name, /p" "$work/console"
    if ! grep -q '@the end$' "$work/console"; then
        tail -n 30 "$work/console" | sed 's/^/# /'
        echo "not ok - $name: the emulated machine comes to its end: it was at \"$(sed -n 's/^.*@start //p' "$work/console" | tail -n 1)\""
        titles "$kernel" | while read -r title; do
            grep -qF "@start $title" "$work/console" || echo "not ok - $name, $title: did not run"
        done
    fi
    [ -z "${MACHINE_CONSOLE:-}" ] || cp "$work/console" "$MACHINE_CONSOLE"
    rm -rf "$work"
}
