//! The reader of minijail's policies under any text.
//! For libFuzzer: `cargo fuzz run --features libfuzzer policy`. Without it a program: `policy COUNT [SEED]`.
#![cfg_attr(feature = "libfuzzer", no_main)]

mod reader;

use sandbox_spawn::capi::filter::sandbox_filter_policy as read;

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    reader::one(read, bytes);
});

#[cfg(not(feature = "libfuzzer"))]
fn main() {
    let samples: [&[u8]; 4] = [
        include_bytes!("../../tests/policies/whole.policy"),
        include_bytes!("../../tests/policies/loop.policy"),
        b"read: arg0 == 1 && arg1 & 0xff || arg2 in ~(O_RDWR|3); return EPERM\n",
        b"{read[arch=x86_64], 1}: {arg0 >= -1; trap, arg5 != 0777; return 1, user-notify}",
    ];
    let words = [
        "arg0", "arg5", "arg6", "==", "!=", "<=", "&", "&&", "||", "|", "~", "~~", "(", "((((", ")", "{", "}", "[arch=", "]", ";",
        ",", ":", "\\\n", "\n", "#", " in ", "return ", "EPERM", "O_RDWR", "18446744073709551615", "-1", "0x", "0xffffffffffffffff",
        "@include ./whole.policy\n", "@include ./loop.policy\n", "@default trap\n", "@frequency x\n", "kill", "read: 1\n", "socket",
        "\0", "\u{e9}", "\r",
    ];
    reader::main(read, &samples, &words);
}
