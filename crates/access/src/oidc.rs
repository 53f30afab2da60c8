//! Tokens of OIDC providers (compat/drogue.md 3.3, and better: keys rotate, `nbf` counts, asymmetric algorithms only).
//!
//! | file | idea |
//! | --- | --- |
//! | `token.rs` | a token, taken apart and judged by its claims |
//! | `key.rs` | public keys, and what they verify |
//! | `provider.rs` | the keys of one provider: fetched, remembered, fetched again |
//!
//! Signatures are verified by `ring`, which TLS uses anyway: it has no symmetric algorithm that could be mixed up with ours.

mod key;
mod provider;
mod token;

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::Secret;
use provider::Provider;
pub(crate) use token::Claims;
use token::Token;
pub use token::{TokenError, is_user_name};

/// The providers whose tokens are accepted.
pub struct Oidc {
    providers: Vec<Provider>,
}

/// A provider, and what of its tokens counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Its URL: the claim `iss`, and what discovery begins at.
    pub url: String,
    /// A token counts if one of these is in `aud`, or is `azp`.
    pub audiences: BTreeSet<String>,
    /// Who has this role may do everything.
    pub admin_role: Option<String>,
    /// Where names and roles are.
    pub shape: Shape,
}

/// Where a provider puts the names and the roles of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Claims with a name, the first that has one counts; `sub` is the last. `email` counts if it was verified.
    pub(crate) names: &'static [&'static str],
    /// Paths of claims with a list of roles.
    pub(crate) roles: &'static [&'static [&'static str]],
    /// A claim with an object for each client, whose `roles` count for the clients that are our audiences.
    pub(crate) client_roles: Option<&'static str>,
}

/// The keys of a provider cannot be had; they may be later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the provider {issuer} is not available: {problem}")]
pub struct ProviderUnavailable {
    /// Which provider.
    pub issuer: String,
    /// What is wrong, for the operator.
    pub problem: String,
}

/// Why nobody is known by a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VerifyError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Unavailable(#[from] ProviderUnavailable),
}

// ----------------------------------------------------------------------------------------------

impl Shape {
    /// Keycloak.
    pub const KEYCLOAK: Self = Self {
        names: &["preferred_username"],
        roles: &[&["realm_access", "roles"]],
        client_roles: Some("resource_access"),
    };
    /// Dex, and others that give groups.
    pub const DEX: Self = Self {
        names: &["preferred_username", "email"],
        roles: &[&["groups"]],
        client_roles: None,
    };
    /// Microsoft Entra ID: versions 1 and 2 of its tokens, users and applications.
    pub const ENTRA: Self = Self {
        names: &["preferred_username", "upn", "oid"],
        roles: &[&["roles"]],
        client_roles: None,
    };
}

impl Issuer {
    /// A provider whose tokens are for nobody yet: [`Issuer::audiences`] is empty.
    pub fn new(url: impl Into<String>, shape: Shape) -> Self {
        Self {
            url: url.into(),
            audiences: BTreeSet::new(),
            admin_role: Some("drogue-admin".to_owned()),
            shape,
        }
    }
}

impl Oidc {
    /// The providers; `http` fetches their keys. It should follow no redirects.
    pub fn new(issuers: impl IntoIterator<Item = Issuer>, http: &reqwest::Client) -> Self {
        let provider = |issuer| Provider::new(issuer, http.clone());
        Self {
            providers: issuers.into_iter().map(provider).collect(),
        }
    }

    /// Who the token is for.
    pub(crate) async fn verify(&self, token: &Secret, now: Timestamp) -> Result<Claims, VerifyError> {
        let token = Token::parse(token.expose())?;
        let issuer = token.issuer()?;
        let provider = self.providers.iter().find(|provider| provider.issuer.url == issuer);
        let provider = provider.ok_or(TokenError::Issuer)?;
        // Before the signature: what would be refused anyway causes no fetch.
        let claims = token.judge(&provider.issuer, now)?;
        provider.verify(&token).await?;
        Ok(claims)
    }

    /// The providers that do not answer.
    pub async fn probe(&self) -> Vec<ProviderUnavailable> {
        let mut missing = Vec::new();
        for provider in &self.providers {
            missing.extend(provider.probe().await.err());
        }
        missing
    }
}
