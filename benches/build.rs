//! Builds the floor program without the standard library and without libc, whatever the profile: its
//! own start must not weigh on the kernel's work that it is there to show. The benchmark embeds it.

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=src/bin/floor");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(bare)");
    let variable = |name: &str| {
        env::var_os(name)
            .map(PathBuf::from)
            .unwrap_or_else(|| panic!("cargo sets {name} for build scripts"))
    };
    let program = variable("OUT_DIR").join("floor");
    let status = Command::new(variable("RUSTC"))
        .args(["--edition=2024", "--crate-name=floor", "--crate-type=bin", "--cfg=bare"])
        // Without the whole program in view the compiler keeps core's unwinding, which needs std.
        .args(["-Clto=fat", "-Ccodegen-units=1"])
        .args(["-Copt-level=2", "-Cpanic=abort", "-Crelocation-model=static", "-Cstrip=symbols"])
        .args(["-Clink-arg=-nostartfiles", "-Clink-arg=-nostdlib", "-Clink-arg=-static"])
        .args(["-Clink-arg=-no-pie", "-Clink-arg=-Wl,--build-id=none,--gc-sections"])
        .arg("--target=x86_64-unknown-linux-gnu")
        .arg("-o")
        .arg(&program)
        .arg(variable("CARGO_MANIFEST_DIR").join("src/bin/floor/main.rs"))
        .status()
        .unwrap_or_else(|error| panic!("running rustc for the floor program: {error}"));
    assert!(status.success(), "the floor program does not build; its errors are above");
    println!("cargo::rustc-env=FLOOR_PROGRAM={}", program.display());
}
