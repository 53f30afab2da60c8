//! Tokens that say of which tenant their holder is, as clients of dojot show them (compat/dojot.md 2 and decision 2).

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::hmac;
use serde::Deserialize;
use serde_json::{Map, Value};
use sockeye_limits as limits;

use crate::ticket::ISSUER;
use crate::{Access, AuthenticateError, Caller, Credentials, Holder, Proof, Secret, TokenError};

/// What of such tokens counts, beside those of the providers that [`Access`] knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantTokens {
    /// The claim that names the tenant.
    claim: String,
    /// Keys of HS256 by `iss`: dojot's own service for users signs so, with a secret for each of them.
    secrets: BTreeMap<String, Secret>,
    /// Somebody before this server has verified every token.
    trusted: bool,
}

/// A token taken apart; nothing of it is proved.
struct Apart<'a> {
    algorithm: String,
    claims: Map<String, Value>,
    signed: &'a str,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

// ----------------------------------------------------------------------------------------------

impl TenantTokens {
    /// Tokens of providers whose claim of this name is the tenant.
    pub fn new(claim: impl Into<String>) -> Self {
        Self {
            claim: claim.into(),
            secrets: BTreeMap::new(),
            trusted: false,
        }
    }

    /// Those too that are signed (HS256) with one of these keys, by `iss`.
    #[must_use]
    pub fn with_secrets(mut self, secrets: BTreeMap<String, Secret>) -> Self {
        self.secrets = secrets;
        self
    }

    /// All of them: a gateway has verified them, and nobody gets here but by it.
    #[must_use]
    pub fn trusted(mut self) -> Self {
        self.trusted = true;
        self
    }

    /// Tells who shows these credentials. An access key is its user's, a token without the claim too.
    pub async fn authenticate(&self, access: &Access, credentials: &Credentials) -> Result<Holder, AuthenticateError> {
        let Credentials::Bearer(token) = credentials else {
            return Ok(access.authenticate(credentials).await?.into());
        };
        let apart = Apart::of(token)?;
        let issuer = apart.text("iss");
        if issuer == Some(ISSUER) {
            let admitted = access.by_own_token(token).await?;
            return admitted.ok_or(AuthenticateError::Token(TokenError::Expired));
        }
        let now = Timestamp::now();
        if self.trusted {
            return Ok(self.tenant(&apart, now)?.into());
        }
        if let Some(secret) = issuer.and_then(|issuer| self.secrets.get(issuer)) {
            apart.verify(secret)?;
            return Ok(self.tenant(&apart, now)?.into());
        }
        let caller = access.authenticate(credentials).await?;
        Ok(match (caller, apart.text(&self.claim)) {
            (
                Caller::User {
                    name,
                    proof: Proof::Token { expires, .. },
                    ..
                },
                Some(tenant),
            ) if !tenant.is_empty() => Caller::Tenant {
                tenant: tenant.to_lowercase(),
                user: Some(name),
                expires,
            },
            (caller, _) => caller,
        }
        .into())
    }

    /// Of whom the claims are, if they are for now.
    fn tenant(&self, apart: &Apart<'_>, now: Timestamp) -> Result<Caller, TokenError> {
        let tenant = apart.text(&self.claim).filter(|tenant| !tenant.is_empty());
        let tenant = tenant.ok_or(TokenError::Claim("for the tenant"))?;
        let expires = apart.time("exp").ok_or(TokenError::Claim("exp"))?;
        if expires <= now {
            return Err(TokenError::Expired);
        }
        if apart.time("nbf").is_some_and(|from| from > now + limits::TOKEN_LEEWAY) {
            return Err(TokenError::NotYet);
        }
        Ok(Caller::Tenant {
            tenant: tenant.to_lowercase(),
            user: None,
            expires,
        })
    }
}

impl<'a> Apart<'a> {
    fn of(token: &'a Secret) -> Result<Self, TokenError> {
        let text = token.expose();
        if text.len() > limits::TOKEN {
            return Err(TokenError::TooLong);
        }
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed);
        let (signed, signature) = text.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| TokenError::Malformed)?;
        Ok(Self {
            algorithm: header.alg,
            claims: serde_json::from_slice(&decode(claims)?).map_err(|_| TokenError::Malformed)?,
            signed,
            signature: decode(signature)?,
        })
    }

    /// RFC 7518 section 3.2.
    fn verify(&self, secret: &Secret) -> Result<(), TokenError> {
        if self.algorithm != "HS256" {
            return Err(TokenError::Algorithm);
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        hmac::verify(&key, self.signed.as_bytes(), &self.signature).map_err(|_| TokenError::Signature)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }

    fn time(&self, name: &str) -> Option<Timestamp> {
        let value = self.claims.get(name)?;
        let seconds = value
            .as_i64()
            .or_else(|| value.as_f64().map(|seconds| seconds.floor() as i64))?;
        Timestamp::from_second(seconds).ok()
    }
}
