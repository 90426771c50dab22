//! Builds the child's image from `child/`, generates the header, and names the library for the linker.
//! The image is linked statically without libc, and must hold no path to a panic and no absolute address: either fails
//! its link.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    for watched in ["build.rs", "cbindgen.toml", "src", "child"] {
        println!("cargo::rerun-if-changed={watched}");
    }
    image(&out);
    header(&out);
    for argument in ["-soname,libsandbox_spawn.so.0", "-z,relro", "-z,now", "-z,nodelete"] {
        println!("cargo::rustc-cdylib-link-arg=-Wl,{argument}");
    }
}

fn rustc() -> Command {
    let mut rustc = Command::new(env::var_os("RUSTC").expect("cargo sets RUSTC"));
    rustc.args(["--edition=2024", "-Cpanic=abort", "-Copt-level=z", "-Coverflow-checks=off", "-Cembed-bitcode=yes"]);
    // No table of addresses for calls to go through, and none for an unwinder that never comes.
    rustc.args(["-Crelocation-model=pic", "-Crelro-level=off", "-Cforce-unwind-tables=no"]);
    rustc.arg("--target").arg(env::var("TARGET").expect("cargo sets TARGET"));
    if env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("aarch64") {
        rustc.arg("-Ctarget-feature=-outline-atomics"); // their helpers ask libc what the processor can do
    }
    rustc
}

fn image(out: &Path) {
    let library = out.join("libsandbox_child.rlib");
    let mut child = rustc();
    child.args(["--crate-type=rlib", "--crate-name=sandbox_child", "child/src/lib.rs", "-o"]).arg(&library);
    assert!(child.status().is_ok_and(|status| status.success()), "the child crate does not compile");

    let program = out.join("image");
    // Rust's own linker needs no cross toolchain; a distribution's rustc may come without it.
    let linkers: [&[&str]; 2] = [
        &["-Clinker=rust-lld", "-Clinker-flavor=ld.lld", "-Clink-arg=-znosectionheader"],
        &["-Clink-arg=-nostartfiles", "-Clink-arg=-nostdlib"],
    ];
    let linked = linkers.iter().any(|linker| {
        let mut main = rustc();
        main.args(["--crate-type=bin", "--crate-name=trampoline", "child/trampoline.rs", "-Clto=fat", "-Ccodegen-units=1",
            "-Clink-self-contained=no", "-Cstrip=symbols", "-Clink-arg=-static", "-Clink-arg=-no-pie",
            "-Clink-arg=-Tchild/image.ld"]);
        main.args(*linker).arg("--extern").arg(format!("sandbox_child={}", library.display())).arg("-o").arg(&program);
        main.output().map(|made| {
            if !made.status.success() {
                println!("cargo::warning=the child's image, {}: {}", linker[0], String::from_utf8_lossy(&made.stderr).replace('\n', " | "));
            }
            made.status.success()
        }).unwrap_or(false)
    });
    assert!(linked, "the child's image does not link: is there a path to a panic, a call of libc, or a table of pointers, in child/?");
}

fn header(out: &Path) {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let config = cbindgen::Config::from_file("cbindgen.toml").expect("cbindgen.toml is readable");
    let generated = cbindgen::Builder::new().with_crate(&root).with_config(config).generate();
    match generated {
        Ok(bindings) => { bindings.write_to_file(out.join("sandbox_spawn.h")); }
        // The compiler says it better, and it comes next.
        Err(cbindgen::Error::ParseSyntaxError { .. }) => {}
        Err(error) => panic!("the header can't be generated: {error}"),
    }
}
