# The Rust tests: unit tests of the pure logic, and the tests in tests/*.rs that call the C functions.
set -o pipefail
cargo test --workspace --no-fail-fast 2>&1 | sed -E \
    -e 's/^test (.*) \.\.\. ok$/ok - \1/' -e 's/^test (.*) \.\.\. FAILED$/not ok - \1/' -e 's/^test (.*) \.\.\. ignored(.*)$/skip - \1: ignored\2/'
