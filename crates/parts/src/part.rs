//! Where parts are, and what happens where one cannot be had.

use std::{
    env,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};

/// The script that fetches parts, from this crate's folder.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/parts");

// ----------------------------------------------------------------------------------------------

/// The cache folder; the same rule as in `scripts/parts`.
pub(crate) fn cache() -> anyhow::Result<PathBuf> {
    if let Some(folder) = env::var_os("SOCKEYE_PARTS") {
        return Ok(folder.into());
    }
    let caches = match env::var_os("XDG_CACHE_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(&env::var_os("HOME").context("neither SOCKEYE_PARTS nor HOME is set")?).join(".cache"),
    };
    Ok(caches.join("sockeye-parts"))
}

/// The folder of a part, fetched if it is not there. `Ok(None)`: it cannot be had, and the test says so.
pub(crate) fn folder(name: &str, version: &str) -> anyhow::Result<Option<PathBuf>> {
    or_not_tested(name, fetched(name, version))
}

/// The folder of a part, fetched if it is not there.
pub(crate) fn fetched(name: &str, version: &str) -> anyhow::Result<PathBuf> {
    let folder = cache()?.join(format!("{name}-{version}"));
    if !folder.is_dir() {
        // The script waits for a run at the same time, so that many tests may ask at once.
        let output = Command::new(SCRIPT)
            .arg(name)
            .output()
            .with_context(|| format!("cannot run {SCRIPT}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "`scripts/parts {name}` failed: {}",
            said.trim()
        );
        ensure!(
            folder.is_dir(),
            "`scripts/parts` has another version of {name}, not {version}"
        );
    }
    Ok(folder)
}

/// Whether there is a Java to run parts with.
pub(crate) fn java() -> anyhow::Result<()> {
    let output = Command::new("java").arg("-version").output();
    output.context("there is no `java`: apt-get install default-jre-headless")?;
    Ok(())
}

/// What tests do where something cannot be had: an error in CI, a loud line elsewhere.
pub(crate) fn or_not_tested<T>(what: &str, made: anyhow::Result<T>) -> anyhow::Result<Option<T>> {
    match made {
        Ok(made) => Ok(Some(made)),
        Err(error) if env::var_os("CI").is_some_and(|ci| ci == "true") => Err(error),
        Err(error) => {
            not_tested(&format!("{what} cannot be had: {error:#}"));
            Ok(None)
        }
    }
}

/// Says so to whoever runs the tests; `scripts/test` collects these lines. Not with `eprintln!`: what a test prints that way
/// is not seen if the test passes.
pub(crate) fn not_tested(what: &str) {
    // Nobody may be listening.
    let _ = writeln!(io::stderr(), "NOT TESTED: {what}");
}
