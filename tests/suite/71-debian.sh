# The Debian packages: built by the usual tools from a copy of the tree, without a network, looked over by lintian,
# installed below a root that is thrown away, used there, and purged.
set -u
cd "$ROOT" || exit 1
unset MAKEFLAGS MAKELEVEL PKG_CONFIG_PATH
for tool in dpkg-buildpackage dh lintian fakeroot cpio; do
    command -v $tool > /dev/null || { echo "skip - the Debian packages: there is no $tool"; exit 0; }
done
# Always the same place, so that cargo knows what it has compiled; beside the crates that the tests' build has compiled.
out=$ROOT/build/test/debian
tree=$out/tree
mkdir -p "$out"
rm -rf "$tree" "$out/root" "$out"/*.deb "$out"/*.changes "$out"/*.buildinfo
mkdir "$tree" "$out/root"
git ls-files -z | cpio -0pdm --quiet "$tree" || { echo "not ok - a copy of the tree"; exit 1; }
if [ ! -d "$out/target" ]; then
    mkdir "$out/target"
    cp -a "${CARGO_TARGET_DIR:-target}/release" "$out/target/" 2> /dev/null
fi
export CARGO_TARGET_DIR=$out/target

# check name command...: ok where the command succeeds; its last words where it does not.
check() {
    local name=$1
    shift
    if "$@" > "$out/log" 2>&1; then echo "ok - $name"; return 0; fi
    tail -n 20 "$out/log" | sed 's/^/# /'
    echo "not ok - $name: $(tail -n 1 "$out/log")"
    return 1
}
same() { if [ "$2" = "$3" ]; then echo "ok - $1"; else echo "not ok - $1: \"$2\", not \"$3\""; fi; }

build() { (cd "$tree" && timeout 600 dpkg-buildpackage -us -uc -b); }
check "dpkg-buildpackage builds them" build || exit 1
cp "$out/log" "$out/build.log"
same "nothing was loaded from a network" "$(grep -cE 'Updating|Download' "$out/build.log")" 0
compiled=$(grep -c 'Compiling sandbox-spawn ' "$out/build.log")
if [ "$compiled" -le 1 ]; then echo "ok - the library was compiled once at most"; else echo "not ok - the library was compiled $compiled times"; fi
sed -n 's/^+ \(sandbox_[a-z0-9_]*\)@.*/# new since the last release: \1/p' "$out/build.log"

version=$(sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)
same "the package's version is the library's" "${version%-*}" "$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)"
arch=$(dpkg --print-architecture)
triplet=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
deb() { echo "$out/$1_${version}_$arch.deb"; }
quiet() { # what it says of manual pages one by one, 70-install says of all at once
    lintian --allow-root --fail-on error -X documentation/manual "$out"/sandbox-spawn_*.changes
}
check "lintian finds no error" quiet
grep -E '^[EW]:' "$out/log" | sed 's/^/# /'

# What is in each; directories and the documents that all have are left out.
files() { dpkg-deb --fsys-tarfile "$(deb "$1")" | tar -t | grep -vE '/$|^./usr/share/doc/' | sed "s|^./||; s|$triplet|TRIPLET|; s|${version%-*}|VERSION|" | sort | grep -v "${2:-^$}" | tr '\n' ' '; }
same "libsandbox-spawn0 holds the shared library" "$(files libsandbox-spawn0)" \
    "usr/lib/TRIPLET/libsandbox_spawn.so.0 usr/lib/TRIPLET/libsandbox_spawn.so.VERSION "
same "libsandbox-spawn-dev holds what it takes to build with it" "$(files libsandbox-spawn-dev man/man3)" \
    "usr/include/sandbox_spawn.h usr/include/sandbox_spawn.hpp usr/lib/TRIPLET/cmake/sandbox_spawn/sandbox_spawnConfig.cmake usr/lib/TRIPLET/cmake/sandbox_spawn/sandbox_spawnConfigVersion.cmake usr/lib/TRIPLET/libsandbox_spawn.a usr/lib/TRIPLET/libsandbox_spawn.so usr/lib/TRIPLET/pkgconfig/sandbox_spawn.pc usr/share/man/man7/sandbox_spawn.7.gz "
pages=$(files libsandbox-spawn-dev | tr ' ' '\n' | sed -n 's|usr/share/man/man3/\(.*\)\.3\.gz|\1|p')
functions=$(cc -std=c99 -E -P include/sandbox_spawn.h | grep -oE '\bsandbox_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u)
same "... with a manual page for each function" "$(comm -23 <(echo "$functions") <(echo "$pages" | sort) | tr '\n' ' ')" ""
tools=$(cd build/prefix/bin && ls)
same "sandbox-spawn-tools holds every command that make install installs" "$(files sandbox-spawn-tools | tr ' ' '\n' | sed -n 's|^usr/bin/||p')" "$tools"
same "... each with its manual page" "$(files sandbox-spawn-tools | tr ' ' '\n' | sed -n 's|^usr/share/man/man1/\(.*\)\.1\.gz|\1|p')" "$tools"
field() { dpkg-deb -f "$(deb "$1")" Depends | tr ',' '\n' | sed 's/ *(.*//; s/^ *//' | sort | tr '\n' ' '; }
same "the library needs libc, the unwinder and libseccomp, and no more" "$(field libsandbox-spawn0)" "libc6 libgcc-s1 libseccomp2 "
same "the development package needs that very library, and libseccomp's" "$(dpkg-deb -f "$(deb libsandbox-spawn-dev)" Depends)" "libsandbox-spawn0 (= $version), libseccomp-dev"
same "a program that uses the library will say so" "$(dpkg-deb -I "$(deb libsandbox-spawn0)" symbols | sed -n 's/^ sandbox_spawn@SANDBOX_0.1 //p')" "${version%-*}"
same "no package runs a script when it is installed" "$(for package in "$out"/*.deb; do dpkg-deb -I "$package" | grep -oE '(pre|post)(inst|rm)'; done)" ""

# A root with a package list of its own, which has of this system only what they depend on.
root=$out/root
mkdir -p "$root"/var/lib/dpkg/{info,updates,triggers}
for package in libc6 libgcc-s1 libseccomp2 libseccomp-dev; do dpkg-query -s "$package:$arch" 2> /dev/null || dpkg-query -s "$package"; echo; done > "$root/var/lib/dpkg/status"
: > "$root/var/lib/dpkg/available"
into_root() { fakeroot dpkg --force-not-root --force-bad-path --log=/dev/null --no-triggers --root="$root" "$@"; }
left() { (cd "$root" && find . ! -type d ! -path './var/lib/dpkg/*' | sort); }
if check "they are installed" into_root -i "$out"/*.deb; then
    same "... and configured" "$(dpkg-query --admindir="$root/var/lib/dpkg" -W -f='${Package} ${db:Status-Status}\n' '*sandbox*' | grep -v ' installed$\| triggers')" ""
    cat > "$out/program.c" << 'EOF'
#include <sandbox_spawn.h>
#include <stdio.h>
int main(void) {
    sandbox_child *child;
    sandbox_error error;
    sandbox_status status = {0};
    sandbox_cmd *cmd = sandbox_cmd_new("sh");
    sandbox_cmd_args(cmd, (const char *const[]){"-c", "exit 7", NULL});
    if (sandbox_spawn(cmd, &child, &error) < 0) return puts(error.message), 1;
    sandbox_child_wait(child, -1, &status, sizeof status);
    sandbox_child_free(child);
    sandbox_cmd_free(cmd);
    return printf("%s %d\n", sandbox_version(), status.code) < 0;
}
EOF
    lib=$root/usr/lib/$triplet
    flags() { PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_LIBDIR=$lib/pkgconfig PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 pkg-config "$@" sandbox_spawn; }
    # shellcheck disable=SC2046
    check "a program builds with the shared library, through pkg-config" cc -Wall -Werror -o "$out/shared" "$out/program.c" $(flags --cflags --libs)
    same "... and runs" "$(LD_LIBRARY_PATH=$lib "$out/shared" 2>&1)" "${version%-*} 7"
    # shellcheck disable=SC2046
    check "a program builds without any shared library, through pkg-config" cc -Wall -Werror -static -o "$out/static" "$out/program.c" $(flags --cflags --static --libs)
    same "... and runs" "$("$out/static" 2>&1)" "${version%-*} 7"
    if command -v cmake > /dev/null; then
        with_cmake() {
            rm -rf "$out/cmake"
            cmake -S examples-c/cmake -B "$out/cmake" -Dsandbox_spawn_DIR="$lib/cmake/sandbox_spawn" && cmake --build "$out/cmake"
        }
        check "the example builds through CMake" with_cmake
    fi
    check "sandbox-run runs" "$root/usr/bin/sandbox-run" --version
    check "they are purged" into_root --purge libsandbox-spawn-dev sandbox-spawn-tools libsandbox-spawn0
    same "no file is left" "$(left)" ""
    same "no package is left" "$(dpkg-query --admindir="$root/var/lib/dpkg" -W -f='${Package} ' '*sandbox*' 2> /dev/null)" ""
fi
