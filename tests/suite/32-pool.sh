# The warm pool: as an ordinary user and as root, once without a shared library, and under AddressSanitizer.
set -u
theme=pool programs="pool pool-ahead"
. "$ROOT/tests/as-users.sh"

if build pool-dynamic; then as_users pool-dynamic; fi
if build pool-static CC=clang LINK=static; then each static pool-static; fi
sanitized pool-asan
