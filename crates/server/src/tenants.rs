//! Tokens that name a tenant, and the keys of those who sign them (HS256).

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::PathBuf;

use sockeye_access::{Secret, TenantTokens};
use sockeye_limits as limits;

use crate::DojotConfig;

/// Why the keys of tokens cannot be read. Nothing of the file is repeated.
#[derive(Debug, thiserror::Error)]
pub enum TenantsError {
    /// The file is not there, or not for us.
    #[error("dojot.secrets: {} cannot be read: {reason}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        reason: io::Error,
    },
    /// It is something else.
    #[error("dojot.secrets: {}: write a JSON object of texts, the key of each issuer by its `iss`; no key is empty", path.display())]
    Form {
        /// Which file.
        path: PathBuf,
    },
}

// ----------------------------------------------------------------------------------------------

/// Reads the keys, if there are some.
pub(crate) fn read(config: &DojotConfig) -> Result<TenantTokens, TenantsError> {
    let tokens = TenantTokens::new(&config.tenant_claim);
    let Some(path) = &config.secrets else {
        return Ok(tokens);
    };
    let mut text = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(limits::TENANT_SECRETS_FILE).read_to_end(&mut text));
    read.map_err(|reason| TenantsError::File {
        path: path.clone(),
        reason,
    })?;
    let secrets: Option<BTreeMap<String, String>> = serde_json::from_slice(&text).ok();
    let secrets = secrets.filter(|secrets| secrets.values().all(|secret| !secret.is_empty()));
    let secrets = secrets.ok_or_else(|| TenantsError::Form { path: path.clone() })?;
    let secrets = secrets.into_iter().map(|(issuer, key)| (issuer, Secret::new(key)));
    Ok(tokens.with_secrets(secrets.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn read_from(text: &str) -> Result<TenantTokens, TenantsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.json");
        std::fs::write(&path, text).unwrap();
        let mut config = Config::default().dojot;
        config.secrets = Some(path);
        read(&config)
    }

    #[test]
    fn keys_are_read_and_never_shown() {
        let read = read_from(r#" {"issuer-1": "s3cret", "issuer-2": "other"} "#).unwrap();
        let secrets = [("issuer-1", "s3cret"), ("issuer-2", "other")];
        let secrets = secrets.map(|(issuer, key)| (issuer.to_owned(), Secret::new(key)));
        assert_eq!(read, TenantTokens::new("service").with_secrets(secrets.into()));
        assert!(!format!("{read:?}").contains("s3cret"));
        for wrong in ["", "[]", r#"{"a": 5}"#, r#"{"a": ""}"#, r#"{"a": "s3cret""#] {
            let error = read_from(wrong).unwrap_err().to_string();
            assert!(
                error.contains("dojot.secrets") && error.contains("JSON object"),
                "{error}"
            );
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
