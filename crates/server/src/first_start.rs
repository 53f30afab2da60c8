//! What the first start leaves behind: an administrator with an access key, in a file that only its owner can read.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use jiff::Timestamp;
use sockeye_access::key::{self, GeneratedKey};
use sockeye_registry::{AccessKey, Registry};

use crate::StartError;

/// Name of the user that the first start makes.
pub(crate) const ADMINISTRATOR: &str = "admin";
/// Name of the file with its key, in the data folder: `admin:drg_..`, as `curl -u` takes it.
pub const KEY_FILE: &str = "admin-key";

// ----------------------------------------------------------------------------------------------

/// Makes the administrator and a key, unless there is one. The file is on disk before the key counts: a crash in between
/// leaves a key that is good for nothing, and the next start makes another.
pub(crate) async fn ensure_administrator(registry: &dyn Registry, folder: &Path) -> Result<(), StartError> {
    registry.ensure_user(ADMINISTRATOR, true).await?;
    if !registry.keys(ADMINISTRATOR).await?.is_empty() {
        return Ok(());
    }
    let GeneratedKey { prefix, key, hash } = key::generate();
    let path = folder.join(KEY_FILE);
    let text = format!("{ADMINISTRATOR}:{}\n", key.expose());
    write_secret(folder, &path, &text).map_err(|reason| StartError::KeyFile {
        path: path.clone(),
        reason,
    })?;
    let key = AccessKey {
        description: Some("made by the first start of the server".to_owned()),
        ..AccessKey::new(prefix, hash, ADMINISTRATOR, Timestamp::now())
    };
    registry.create_key(key).await?;
    tracing::info!(file = %path.display(), "made the administrator's access key");
    Ok(())
}

/// Writes a file that only its owner can read, whole or not at all.
fn write_secret(folder: &Path, path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.set_permissions(Permissions::from_mode(0o600))?; // also if an earlier start left it
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}
