//! Builds init, the program that the library embeds (src/spawn.rs), with flags of its own.
//!
//! `TEU_INIT` names a ready-made program instead: for a source tree without the init crate beside it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "x86_64-unknown-linux-gnu";

fn main() {
    println!("cargo::rerun-if-env-changed=TEU_INIT");
    let program = match env::var_os("TEU_INIT") {
        Some(path) => PathBuf::from(path),
        None => build(),
    };
    println!("cargo::rustc-env=TEU_INIT_PROGRAM={}", program.display());
}

fn variable(name: &str) -> PathBuf {
    env::var_os(name)
        .map(PathBuf::from)
        .unwrap_or_else(|| panic!("cargo sets {name} for build scripts"))
}

fn build() -> PathBuf {
    let source = variable("CARGO_MANIFEST_DIR");
    let watched = ["init/src", "init/Cargo.toml", "wire/src", "wire/Cargo.toml", "build.rs"];
    // The workspace decides which versions of what init is built from.
    for watched in watched.into_iter().chain(["../Cargo.lock", "../Cargo.toml"]) {
        println!("cargo::rerun-if-changed={}", source.join(watched).display());
    }
    let target = variable("OUT_DIR").join("init");
    // No libc: the program brings its own start, and is linked at a fixed address, since it has no loader.
    let flags = [
        "--cfg=teu_init",
        "-Cpanic=abort",
        "-Crelocation-model=static",
        "-Clink-arg=-nostartfiles",
        "-Clink-arg=-nostdlib",
        "-Clink-arg=-static",
        "-Clink-arg=-no-pie",
        "-Clink-arg=-Wl,--build-id=none,-z,noseparate-code,-z,norelro,--gc-sections",
    ];
    let mut cargo = Command::new(variable("CARGO"));
    // The variables of the outer build describe another one: its flags, its wrapper, its target directory.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let inherited =
            ["CARGO_PROFILE_", "CARGO_TARGET_", "CARGO_BUILD_", "CARGO_ENCODED_", "CARGO_FEATURE_"];
        if inherited.iter().any(|prefix| text.starts_with(prefix))
            || text == "RUSTFLAGS"
            || text == "RUSTC_WORKSPACE_WRAPPER"
            || text == "RUSTC_WRAPPER"
        {
            cargo.env_remove(&name);
        }
    }
    let status = cargo
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s")
        .args(["build", "--release", "--quiet", "--package=teu-init", "--bin=teu-init"])
        .arg(format!("--target={TARGET}"))
        .arg(format!("--target-dir={}", target.display()))
        .arg(format!("--manifest-path={}", source.join("init/Cargo.toml").display()))
        .status()
        .unwrap_or_else(|error| panic!("running cargo for the init program: {error}"));
    assert!(status.success(), "the init program does not build; its errors are above");
    Path::new(&target).join(TARGET).join("release/teu-init")
}
