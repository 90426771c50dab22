# x86_64 and aarch64, glibc and musl: each builds, links into a C program, and runs where this machine can run it.
# What can't be had here is a skip with its reason.
set -u
cd "$ROOT" || exit 1
unset MAKEFLAGS MAKELEVEL TARGET
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# check name command...: ok where the command succeeds; its last words where it does not.
check() {
    name=$1
    shift
    if "$@" > "$work/log" 2>&1; then echo "ok - $name"; return 0; fi
    tail -n 20 "$work/log" | sed 's/^/# /'
    echo "not ok - $name: $(tail -n 1 "$work/log")"
    return 1
}
has_target() { [ -d "$(rustc --print sysroot)/lib/rustlib/$1/lib" ]; }
has() { command -v "$1" > /dev/null; }

# The numbers in child/src/arch against the kernel's own header of that architecture, by its own compiler.
numbers() { # arch compiler
    source=child/src/arch/$1.rs
    {
        echo '#include <asm/unistd.h>'
        sed -nE 's/^ *pub const ([A-Z0-9_]+): usize = ([0-9]+);$/\1 \2/p' "$source" | while read -r name number; do
            # A call may be newer than this machine's headers.
            nr=__NR_$(echo "$name" | tr 'A-Z' 'a-z')
            [ "$number" -lt 450 ] || echo "#ifdef $nr"
            echo "_Static_assert($nr == $number, \"$name is not $number\");"
            [ "$number" -lt 450 ] || echo "#endif"
        done
        # The stubs name theirs in the assembly, in this order.
        set -- clone3 clone munmap exit
        for number in $(grep -oE '"mov (eax|x8), [0-9]+"' "$source" | grep -oE '[0-9]+"' | tr -d '"'); do
            echo "_Static_assert(__NR_${1:-} == $number, \"the stub of ${1:-nothing} calls $number\");"
            shift
        done
        [ $# -eq 0 ] || echo "#error no stub for $*"
    } > "$work/numbers.c"
    [ "$(grep -c _Static_assert "$work/numbers.c")" -gt 20 ] && "$compiler" -std=c11 -fsyntax-only "$work/numbers.c"
}
for pair in x86_64:cc aarch64:aarch64-linux-gnu-gcc; do
    arch=${pair%%:*} compiler=${pair#*:}
    [ "$compiler" != cc ] || [ "$(uname -m)" = "$arch" ] || compiler=$arch-linux-gnu-gcc
    if has "$compiler"; then check "$arch: every system call number is the kernel's" numbers "$arch" "$compiler"
    else echo "skip - $arch: every system call number is the kernel's: there is no $compiler"; fi
done

# What a program links with beside the library. Of libseccomp there is none for musl here: glibc's own archive does
# but for one function of glibc's, in a part of it that is never called.
libraries() { # target
    case $1 in
        *-musl) sed 's|-lseccomp|/usr/lib/x86_64-linux-gnu/libseccomp.a -Wl,--defsym=__fprintf_chk=abort|' "build/$1/native-libs" ;;
        aarch64-*) echo "-Lbuild/arm64/usr/lib/aarch64-linux-gnu" && cat "build/$1/native-libs" ;;
        *) cat "build/$1/native-libs" ;;
    esac
}
link() { # compiler target program source
    # shellcheck disable=SC2046
    "$1" -std=c11 -O1 -static -Iinclude "$4" "build/$2/libsandbox_spawn.a" $(libraries "$2") -pthread -o "$3" 2> "$work/linked" && return 0
    cat "$work/linked" # without the linker's warnings where it went well
    return 1
}
is_for() { # machine program
    LC_ALL=C readelf -h "$2" | grep -E "Machine: .*$1"
}
only_ours() { # archive: no other name of the library's can clash with a program's
    others=$(nm -g --defined-only "$1" 2> /dev/null | awk 'NF == 3 { print $3 }' | grep -v '^sandbox_' | sort -u)
    [ -z "$others" ] || { echo "global names: $(echo "$others" | head -3 | tr '\n' ' ')"; return 1; }
}
prints() { # text command...
    text=$1
    shift
    timeout 60 "$@" > "$work/printed" 2>&1
    code=$?
    cat "$work/printed"
    [ $code = 0 ] && grep -q -- "$text" "$work/printed"
}
# The plan as the program tells it, before it starts anything.
plan() { # command...
    timeout 60 "$@" -v -d / true | sed -n '/^run/,/execve/p'
}
same_plan() { # command...: as that of the machine's own library
    plan "$work/own" > "$work/plan.here"
    plan "$@" > "$work/plan.there"
    [ -s "$work/plan.here" ] && cmp "$work/plan.here" "$work/plan.there"
}

# A whole aarch64 machine, emulated: its kernel, a shell and the examples. The C tests run there by 51-kernels.
# (qemu's user mode is no help: it knows no clone with CLONE_VM but a thread's.)
machine() { # target compiler
    kernel=$(ls build/arm64/boot/vmlinuz-* 2> /dev/null | head -n 1)
    busybox=$(ls build/arm64/bin/busybox build/arm64/usr/bin/busybox 2> /dev/null | head -n 1)
    for needed in "${kernel:-a kernel for arm64}" "${busybox:-a busybox for arm64}" "$(command -v qemu-system-aarch64 || echo qemu-system-aarch64)" \
        "$(command -v cpio || echo cpio)"; do
        [ -e "$needed" ] || { echo "skip - $1: runs in an emulated machine: there is no $needed"; return; }
    done
    rm -rf "$work/root"
    mkdir -p "$work"/root/{bin,proc,sys,dev,tmp,etc}
    cp "$busybox" "$work/root/bin/busybox"
    for program in hello pipe limits errors run; do cp "$work/$program" "$work/root/bin/example-$program"; done
    cat > "$work/root/init" << EOF
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin TMPDIR=/tmp
mount -t proc none /proc; mount -t sysfs none /sys; mount -t devtmpfs none /dev
mkdir /dev/pts; mount -t devpts none /dev/pts; mount -t tmpfs none /tmp
ip link set lo up
echo root:x:0:0::/:/bin/sh > /etc/passwd
check() { name=\$1; want=\$2; shift 2; "\$@" > /tmp/log 2>&1; code=\$?; if [ \$code = \$want ]; then echo "ok - \$name"; else cat /tmp/log; echo "not ok - \$name: code \$code"; fi; }
uname -mr
check "hello runs" 0 example-hello
check "pipe runs" 0 example-pipe
check "errors reports every failure" 0 example-errors
check "limits hits the time limit" 1 example-limits -t 0.3 sleep 1000
check "a failed set-up starts nothing" 2 example-run -d /no/such/directory true
example-run -v -d / true | sed -n '/^run/,/execve/s/^/plan:/p'
echo all done
poweroff -f
EOF
    chmod 755 "$work/root/init"
    (cd "$work/root" && find . | cpio -o -H newc --quiet) > "$work/initrd"
    timeout 240 qemu-system-aarch64 -M virt -cpu cortex-a72 -accel tcg -m 768 -smp 2 -nic none -nographic -no-reboot -kernel "$kernel" \
        -initrd "$work/initrd" -append "console=ttyAMA0 quiet panic=-1" < /dev/null 2>&1 | tr -d '\r' > "$work/console"
    echo "# in an emulated machine: $(grep -m 1 aarch64 "$work/console")"
    sed -nE "s/^(.*)?((not )?ok|skip) - /\2 - $1: /p" "$work/console"
    grep -q '^all done' "$work/console" || { tail -n 20 "$work/console" | sed 's/^/# /'; echo "not ok - $1: the emulated machine comes to its end"; }
    plan "$work/own" > "$work/plan.here"
    sed -n 's/^plan://p' "$work/console" > "$work/plan.there"
    check "$1: the plan is the same" cmp "$work/plan.here" "$work/plan.there"
}

# shellcheck disable=SC2046
cc -std=c11 -O1 examples-c/demo/run.c -o "$work/own" $(pkg-config --cflags --libs sandbox_spawn) -Wl,-rpath,"$PREFIX/lib" || exit 1
native=$(uname -m)
for target in x86_64-unknown-linux-gnu x86_64-unknown-linux-musl aarch64-unknown-linux-gnu aarch64-unknown-linux-musl; do
    arch=${target%%-*}
    if [ "$target" = "$native-unknown-linux-gnu" ]; then
        check "$target: the libraries are built and installed" test -s "$PREFIX/lib/libsandbox_spawn.a" -a -s "$PREFIX/lib/libsandbox_spawn.so.0"
        check "$target: the static library defines sandbox_* alone" only_ours "$PREFIX/lib/libsandbox_spawn.a"
        continue
    fi
    if ! has_target "$target"; then
        echo "skip - $target: Rust has no such target installed here (rustup target add $target)"
        continue
    fi
    if [ "$arch" = aarch64 ] && ! has aarch64-linux-gnu-ld; then
        echo "skip - $target: there is no aarch64-linux-gnu-ld"
        continue
    fi
    check "$target: the static library builds" flock build/cross.lock timeout 400 make static TARGET="$target" || continue
    check "$target: the static library defines sandbox_* alone" only_ours "build/$target/libsandbox_spawn.a"

    case $target in
        *-musl) compiler=$([ "$arch" = "$native" ] && echo musl-gcc || echo "$arch-linux-musl-gcc") ;;
        *) compiler=$arch-linux-gnu-gcc ;;
    esac
    if ! has "$compiler"; then
        echo "skip - $target: a C program links: there is no $compiler"
        continue
    fi
    for example in hello pipe limits errors demo/run; do
        check "$target: examples-c/$example.c links statically with $compiler" \
            link "$compiler" "$target" "$work/$(basename $example)" "examples-c/$example.c" || continue 2
    done
    check "$target: the program is one for $arch" is_for "$([ "$arch" = aarch64 ] && echo AArch64 || echo X86-64)" "$work/hello"

    if [ "$arch" = "$native" ]; then
        check "$target: hello runs" prints 'exit code 0' "$work/hello"
        check "$target: pipe runs" prints 'the greatest number: 99999' "$work/pipe"
        check "$target: errors reports every failure" prints 'Left behind: no process' "$work/errors"
        check "$target: the plan is the same" same_plan "$work/run"
    else
        machine "$target" "$compiler"
    fi
done
