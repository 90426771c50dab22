//! The reader of OCI seccomp profiles under any text.
//! For libFuzzer: `cargo fuzz run --features libfuzzer oci`. Without it a program: `oci COUNT [SEED]`.
#![cfg_attr(feature = "libfuzzer", no_main)]

mod reader;

use sandbox_spawn::capi::filter::sandbox_filter_oci as read;

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    reader::one(read, bytes);
});

#[cfg(not(feature = "libfuzzer"))]
fn main() {
    let samples: [&[u8]; 3] = [
        include_bytes!("../../tests/policies/docker.json"),
        include_bytes!("../../tests/policies/runtime-spec.json"),
        br#"{"defaultAction": "SCMP_ACT_LOG", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5}]}"#,
    ];
    let words = [
        "{", "}", "[", "]", "[[[[[[[[", ",", ":", "\"", "null", "true", "-1", "1.5e300", "18446744073709551615", "\\u0000", "\\ud800",
        "\"names\": ", "\"action\": ", "\"args\": ", "\"index\": 6", "\"SCMP_ACT_NOTIFY\"", "\"SCMP_CMP_MASKED_EQ\"", "\"socket\"",
        "\"socketcall\"", "\"includes\": {\"caps\": [\"CAP_SYS_ADMIN\"]}", "\"minKernel\": \"9.9.9\"", "\"SCMP_ARCH_ARM\"", "\u{e9}",
    ];
    reader::main(read, &samples, &words);
}
