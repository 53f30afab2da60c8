//! What the scripts of a newcomer say about a machine that lacks something.
//!
//! Runs once: no server runs.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// Runs `need_rust` where the tools on the path are these, each a script.
fn need_rust(tools: &[(&str, &str)]) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, does) in tools {
        let file = folder.path().join(name);
        fs::write(&file, format!("#!/bin/sh\n{does}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    for tool in ["sed", "awk", "sort", "head"] {
        let at = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(tool));
        let at = at.iter().find(|at| at.exists()).unwrap();
        std::os::unix::fs::symlink(at, folder.path().join(tool)).unwrap();
    }
    let output = Command::new("/bin/bash")
        .args(["-c", "set -euo pipefail; . scripts/lib.sh; need_rust"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .env("PATH", folder.path())
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn an_old_toolchain_is_named_with_what_to_do() {
    let needed = env!("CARGO_PKG_RUST_VERSION");
    let (cargo, cc, rustup) = (("cargo", ""), ("cc", ""), ("rustup", ""));
    for (tools, says) in [
        (&[cc][..], "https://rustup.rs"),
        (&[cargo, cc], "https://rustup.rs"),
        (
            &[cargo, cc, ("rustc", "echo 'rustc 1.9.0 (1 2016)'")],
            "https://rustup.rs",
        ),
        (
            &[cargo, cc, rustup, ("rustc", "echo 'rustc 1.85.1 (1 2025)'")],
            "rustup update stable",
        ),
    ] {
        let (good, said) = need_rust(tools);
        assert!(
            !good && said.contains(says) && said.contains(needed),
            "{tools:?}: {said}"
        );
    }
    for version in [needed, &format!("{needed}.0"), "1.1000.0", "2.0.0-nightly"] {
        let rustc = format!("echo 'rustc {version} (1 2027)'");
        let (good, said) = need_rust(&[cargo, cc, ("rustc", &rustc)]);
        assert!(good, "{version}: {said}");
    }
}
