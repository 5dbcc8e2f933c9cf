//! Hands the linker the order of the code (layout/hot.ld, docs/decision/0006-code-layout.md).

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=layout/hot.ld");
    // Without -Wl, since that would split a path at its commas. The fragment adds to the linker's own
    // layout; a name in it that matches nothing is no error.
    let package = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it for build scripts");
    println!("cargo::rustc-link-arg-bins=-T{package}/layout/hot.ld");
}
