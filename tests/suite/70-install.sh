# An installation as other projects meet it: pkg-config, CMake and Meson, the manual, in the usual layout and in a
# distribution's, moved elsewhere, and taken away again.
set -u
cd "$ROOT" || exit 1
unset MAKEFLAGS MAKELEVEL PKG_CONFIG_PATH
work=$(mktemp -d /var/tmp/sandbox-spawn-install.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
chmod 755 "$work"

# check name command...: ok where the command succeeds; its last words where it does not.
check() {
    local name=$1
    shift
    if "$@" > "$work/log" 2>&1; then echo "ok - $name"; return 0; fi
    tail -n 20 "$work/log" | sed 's/^/# /'
    echo "not ok - $name: $(tail -n 1 "$work/log")"
    return 1
}
same() { if [ "$2" = "$3" ]; then echo "ok - $1"; else echo "not ok - $1: \"$2\", not \"$3\""; fi; }
has() { command -v "$1" > /dev/null; }
files() { (cd "$1" && find . ! -type d | sort); }
# A user of no rights, where this one is root.
become=()
[ "$(id -u)" != 0 ] || become=(setpriv --reuid 64321 --regid 64321 --clear-groups --inh-caps=-all)

# Three layouts: /usr/local by way of DESTDIR; a home directory's; Debian's, by way of DESTDIR.
multiarch=$(cc -print-multiarch 2> /dev/null)
multiarch=lib/${multiarch:-machine-linux-gnu}
check "make install, DESTDIR and /usr/local" make install DESTDIR="$work/stage" PREFIX=/usr/local || exit 1
check "make install, a directory of one's own" make install PREFIX="$work/own"
check "make install, a directory for each architecture's libraries" make install DESTDIR="$work/debian" PREFIX=/usr LIBDIR=/usr/"$multiarch"
same "the layouts hold the same files" "$(files "$work/stage/usr/local")" "$(files "$work/own")"
same "... each in its place" "$(files "$work/debian/usr" | sed "s|^./$multiarch/|./lib/|" | sort)" "$(files "$work/own")"
chmod -R go=rX "$work/stage" "$work/own" "$work/debian"

# From here on they lie where nobody had said that they would.
mkdir "$work/moved"
mv "$work/own" "$work/moved/elsewhere"
moved=$work/moved/elsewhere
same "no file but pkg-config's, and what CMake counts from, names the place that it was installed to" \
    "$(grep -rlF "$work/own" "$moved" | sed "s|$moved/||" | sort | tr '\n' ' ')" "lib/cmake/sandbox_spawn/sandbox_spawnConfig.cmake lib/pkgconfig/sandbox_spawn.pc "

# pkg-config: what it says of each layout, and that it is enough.
flags() { # directory words...
    local directory=$1
    shift
    PKG_CONFIG_LIBDIR=$directory pkg-config "$@" sandbox_spawn
}
same "pkg-config, the usual layout" "$(flags "$work/stage/usr/local/lib/pkgconfig" --variable=libdir)" "/usr/local/lib"
same "pkg-config, a distribution's" "$(flags "$work/debian/usr/$multiarch/pkgconfig" --variable=libdir)" "/usr/$multiarch"
echo 'int main(void) { return !sandbox_version()[0]; }' | sed '1i #include <sandbox_spawn.h>' > "$work/least.c"
least() { # kind words...
    local kind=$1
    shift
    # shellcheck disable=SC2046
    cc -o "$work/least-$kind" "$work/least.c" $(PKG_CONFIG_LIBDIR=$moved/lib/pkgconfig pkg-config --define-prefix --cflags --libs "$@" sandbox_spawn) $extra &&
        LD_LIBRARY_PATH=$moved/lib "$work/least-$kind"
}
extra='' check "pkg-config, moved: a program runs with the shared library" least shared
extra=-static check "pkg-config --static, moved: a program runs without any shared library" least static --static

# The example projects: copied, so that nothing of this tree is in reach, and built by an ordinary user.
mkdir -m 1777 "$work/user"
cp -r examples-c/cmake examples-c/meson "$work/user/"
chmod -R a+rX "$work/user"
as_user() { (cd "$work/user" && env HOME="$work/user" "${become[@]}" "$@"); }
links_shared() { LC_ALL=C readelf -d "$1" | grep -q 'NEEDED.*libsandbox_spawn\.so\.0'; }
links_static() { ! links_shared "$1" && nm "$1" | grep -q ' [tT] sandbox_spawn$'; }
# runs NAME LIBRARIES PROGRAM ARGUMENT ANSWER
runs() {
    local name=$1 answer=$5 seen
    seen=$(as_user env LD_LIBRARY_PATH="$2" "$3" "$4" 2>&1)
    same "$name" "$seen" "$answer"
}
namespaces=$(as_user unshare --user --pid --mount --net --uts --ipc true 2> /dev/null && [ -x /usr/bin/python3 ] && echo yes)
calculates() { # name libraries program
    if [ -n "$namespaces" ]; then
        runs "$1: the program runs" "$2" "$3" '2 ** 100' 1267650600228229401496703205376
        runs "$1: ... confined" "$2" "$3" '__import__("os").path.exists("/home")' False
    else echo "skip - $1: the program runs: no user namespaces here, or no /usr/bin/python3"; fi
}

if has cmake; then
    cat > "$work/user/targets.txt" << 'EOF'
cmake_minimum_required(VERSION 3.13)
project(targets C)
find_package(sandbox_spawn 0.1.0 CONFIG REQUIRED COMPONENTS shared static)
find_package(sandbox_spawn REQUIRED) # twice does no harm
foreach(kind shared static)
    add_executable(${kind} main.c)
    target_link_libraries(${kind} PRIVATE sandbox_spawn::${kind})
endforeach()
add_executable(alone main.c)
target_link_libraries(alone PRIVATE sandbox_spawn::static)
target_link_libraries(alone PRIVATE -static)
EOF
    cmake_build() { # from to words...
        local from=$1 to=$2
        shift 2
        as_user cmake -S "$from" -B "$to" -DCMAKE_C_FLAGS=-Werror "$@" && as_user cmake --build "$to"
    }
    if check "CMake, moved, shared: the example builds" cmake_build cmake c-shared -DCMAKE_PREFIX_PATH="$moved"; then
        check "CMake, moved, shared: it links with the shared library" links_shared "$work/user/c-shared/calculate"
        calculates "CMake, moved, shared" "" ./c-shared/calculate # CMake put the library's place into the program
    fi
    if check "CMake, moved, static: the example builds" cmake_build cmake c-static -DCMAKE_PREFIX_PATH="$moved" -DBUILD_SHARED_LIBS=OFF; then
        check "CMake, moved, static: it links with the static library" links_static "$work/user/c-static/calculate"
        calculates "CMake, moved, static" "" ./c-static/calculate
    fi
    check "CMake, DESTDIR: the example builds" cmake_build cmake c-stage -DCMAKE_PREFIX_PATH="$work/stage/usr/local"
    check "CMake, a distribution's layout in a sysroot: the example builds" cmake_build cmake c-debian \
        -DCMAKE_FIND_ROOT_PATH="$work/debian" -Dsandbox_spawn_DIR="$work/debian/usr/$multiarch/cmake/sandbox_spawn"
    calculates "CMake, a distribution's layout" "" ./c-debian/calculate
    mkdir "$work/user/targets"
    mv "$work/user/targets.txt" "$work/user/targets/CMakeLists.txt"
    cp "$work/least.c" "$work/user/targets/main.c"
    chmod -R a+rX "$work/user/targets"
    if check "CMake: each target, and a program without shared libraries, build" cmake_build targets c-targets -DCMAKE_PREFIX_PATH="$moved"; then
        for kind in shared static alone; do check "CMake, sandbox_spawn::$kind: the program runs" as_user "./c-targets/$kind"; done
        check "CMake: sandbox_spawn::static is the static library" links_static "$work/user/c-targets/static"
    fi
    mkdir "$work/user/plus"
    cat > "$work/user/plus/CMakeLists.txt" << 'EOF'
cmake_minimum_required(VERSION 3.13)
project(plus CXX)
find_package(sandbox_spawn REQUIRED)
foreach(kind shared static)
    add_executable(${kind} main.cc)
    target_link_libraries(${kind} PRIVATE sandbox_spawn::${kind})
endforeach()
EOF
    cp "$work/least.c" "$work/user/plus/main.cc"
    chmod -R a+rX "$work/user/plus"
    if check "CMake: a project that knows no C but C++ builds" as_user sh -c "cmake -S plus -B c-plus -DCMAKE_PREFIX_PATH='$moved' && cmake --build c-plus"; then
        for kind in shared static; do check "CMake, C++, sandbox_spawn::$kind: the program runs" as_user "./c-plus/$kind"; done
    fi
    refuses() { # words: what find_package is asked for, and must not find
        echo "cmake_minimum_required(VERSION 3.13)
project(refused C)
find_package(sandbox_spawn $* QUIET)
if(sandbox_spawn_FOUND)
    message(FATAL_ERROR found)
endif()" > "$work/user/targets/CMakeLists.txt"
        rm -rf "$work/user/c-refused"
        as_user cmake -S targets -B c-refused -DCMAKE_PREFIX_PATH="$moved"
    }
    check "CMake: a later version is not found" refuses 0.2
    check "CMake: another major version is not found" refuses 1.0
    check "CMake: a component that there is not is not found" refuses COMPONENTS shared bogus
else
    echo "skip - CMake: there is none"
fi

if has meson && has ninja; then
    for kind in shared static; do
        meson_build() {
            as_user env PKG_CONFIG_PATH="$moved/lib/pkgconfig" PKG_CONFIG="$work/user/pkg-config" meson setup "m-$kind" meson --werror -Dstatic="$1" &&
                as_user ninja -C "m-$kind"
        }
        # The moved prefix: pkg-config is told, as a user of one has to.
        printf '#!/bin/sh\nexec pkg-config --define-prefix "$@"\n' > "$work/user/pkg-config"
        chmod 755 "$work/user/pkg-config"
        if check "Meson, moved, $kind: the example builds" meson_build "$([ $kind = static ] && echo true || echo false)"; then
            check "Meson, moved, $kind: it links with the $kind library" links_$kind "$work/user/m-$kind/shout"
            runs "Meson, moved, $kind: the program runs" "$([ $kind = static ] || echo "$moved/lib")" "./m-$kind/shout" 'hello there' 'HELLO THERE'
        fi
    done
else
    echo "skip - Meson: there is no meson, or no ninja"
fi

# The manual, as installed: complete, current, clean, and true.
manual=$work/stage/usr/local/share/man
header=$work/stage/usr/local/include/sandbox_spawn.h
cc -std=c99 -E -P "$header" > "$work/plain.h"
functions=$(grep -oE '\bsandbox_[a-z0-9_]+ *\(' "$work/plain.h" | tr -d ' (' | sort -u)
types=$(sed -nE 's/^\} (sandbox_[a-z_]+);/\1/p; s/^typedef struct (sandbox_[a-z_]+) sandbox_[a-z_]+;/\1/p; s/^typedef .*\(\*(sandbox_[a-z_]+)\).*/\1/p' "$header" | sort -u)
pages=$(cd "$manual/man3" && ls | sed 's/\.3$//')
same "every function has a page" "$(comm -23 <(echo "$functions") <(echo "$pages") | tr '\n' ' ')" ""
same "every type has a page" "$(comm -23 <(echo "$types") <(echo "$pages") | tr '\n' ' ')" ""
same "there is no page of anything else but the actions" "$(comm -13 <(printf '%s\n' "$functions" "$types" | sort -u) <(echo "$pages") | tr '\n' ' ')" "sandbox_actions "
same "whatever returns something says what" "$(cd "$manual/man3" && grep -L -e 'RETURN VALUE' -e '^.SH ERRORS' $(printf '%s.3\n' $functions) | sed 's/\.3$//' |
    while read -r page; do grep -qE "^void $page\(" "$header" || grep -oE "^typedef .*\(\*$page\)" "$header" | grep -q . || echo "$page"; done)" ""
mkdir "$work/fresh"
awk -v out="$work/fresh" -v version="$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)" -v date="$(sed -n 's/^RELEASED := //p' Makefile)" \
    -v example=examples-c/hello.c -f tools/manual.awk tools/manual.themes include/sandbox_spawn.h
same "no page is older than the header" "$(cd "$work/fresh" && for page in *; do cmp -s "$page" "$manual/man${page##*.}/$page" || echo "$page"; done)" ""
same "every error has its reason" "$(grep -l 'As the kernel says' "$manual"/man3/*)" ""
same "nothing of the comments' own marks is left" "$(grep -rlE '`|@param|@return' "$manual/man3" "$manual/man7")" ""
if has mandoc; then
    same "mandoc has no complaint" "$(mandoc -T lint -W warning "$manual"/man[37]/* 2>&1 | head -n 5)" ""
else echo "skip - mandoc has no complaint: there is none"; fi
if has groff; then
    same "groff has no complaint" "$(groff -ww -z -man -Tutf8 "$manual"/man[37]/* 2>&1 | head -n 5)" ""
    # What a reader copies out of a page is C, and the header's.
    {
        echo '#include <sandbox_spawn.h>'
        (cd "$manual/man3" && groff -man -Tascii -P-cbou -rLL=80n $(printf '%s.3\n' $functions)) | sed -n '/^SYNOPSIS/,/^DESCRIPTION/p' | grep -E '^ ' | grep -v '#include'
    } > "$work/pages.c"
    check "each page's prototype is the header's" cc -std=c11 -fsyntax-only -pedantic -Werror -I"$(dirname "$header")" "$work/pages.c"
    same "... and there is one in each" "$(grep -oE '\bsandbox_[a-z0-9_]+\(' "$work/pages.c" | tr -d '(' | sort)" "$functions"
else echo "skip - groff has no complaint: there is none"; fi
# Documents may have been left out of this system, and the command that shows manual pages with them.
if has man && man --version 2> /dev/null | grep -q '^man [0-9]'; then
    if has mandb && has lexgrog; then
        same "whatis knows each page" "$(lexgrog "$manual"/man[37]/* 2>&1 | grep -vE '^[^:]*: "sandbox_[a-z0-9_]+ - [^"]{4,110}"?' | head -n 5)" ""
        mandb -c -q "$manual" > /dev/null 2>&1
        same "man finds a page, whatis its line" "$(man -M "$manual" -w sandbox_cmd_env; whatis -M "$manual" sandbox_version)" \
            "$manual/man3/sandbox_cmd_env.3
sandbox_version (3)  - the version of the library that is loaded"
        rm -rf "$manual"/index.db "$manual"/cat* "$manual"/CACHEDIR.TAG
    fi
else
    echo "skip - the pages as man shows them: there is no man"
fi

# And away again: nothing is left but directories that others share.
check "make uninstall" make uninstall DESTDIR="$work/stage" PREFIX=/usr/local
same "no file is left" "$(files "$work/stage")" ""
same "no directory of its own is left" "$(find "$work/stage" -iname '*sandbox*')" ""
check "make uninstall, a distribution's layout" make uninstall DESTDIR="$work/debian" PREFIX=/usr LIBDIR=/usr/"$multiarch"
same "no file is left of that" "$(files "$work/debian")" ""
check "make uninstall where nothing is" make uninstall DESTDIR="$work/nowhere"
