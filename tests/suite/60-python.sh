# The Python binding: the wheel built and installed into a fresh environment by an ordinary user, its tests there and as
# root.
set -u
theme=python
. "$ROOT/tests/python-env.sh"
fresh pytest || exit 0
both "$work/bindings/python/tests"
