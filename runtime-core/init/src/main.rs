//! Built by runtime-core's build script with `--cfg teu_init`; otherwise only a note.
#![cfg_attr(teu_init, no_std, no_main)]

#[cfg(teu_init)]
use teu_init as _;

#[cfg(not(teu_init))]
fn main() -> std::process::ExitCode {
    eprintln!("teu-init is built into the library by runtime-core's build script");
    std::process::ExitCode::FAILURE
}
