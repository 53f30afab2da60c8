//! One provider: its keys, as they were fetched last, and when they are fetched again.
//!
//! Keys count for [`limits::LOGIN_ANSWERED`]: then they are fetched anew for whoever brings a token, and while the provider does not
//! answer nobody gets in. A token of an unknown key has them fetched at once, but at most once in [`limits::JWKS_REFETCH`] whatever
//! comes: who brings one waits for the next fetch, which serves all who wait. So no rotation refuses a valid token, and garbage
//! cannot hammer the provider.
//!
//! A token that was verified is not verified again as long as the keys are the same: its claims are judged each time, and a key that
//! the provider gives up ends what was remembered of all tokens.

use std::sync::{Arc, PoisonError, RwLock};

use moka::sync::Cache;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sockeye_limits as limits;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, sleep_until, timeout};

use crate::oidc::key::{Found, Keys};
use crate::oidc::token::{Token, TokenError};
use crate::oidc::{Issuer, ProviderUnavailable, VerifyError};

pub(crate) struct Provider {
    pub(crate) issuer: Issuer,
    http: reqwest::Client,
    known: RwLock<Known>,
    turn: Mutex<Turn>,
    waiting: Semaphore,
    /// Tokens by their hash, with the [`Known::era`] of the keys that verified them.
    verified: Cache<[u8; 32], u64>,
}

/// What is known of the keys.
#[derive(Clone, Default)]
struct Known {
    keys: Arc<Keys>,
    /// Moves when they are others.
    era: u64,
    /// When they were asked for.
    since: Option<Instant>,
}

/// The last fetch.
#[derive(Default)]
struct Turn {
    began: Option<Instant>,
    problem: Option<String>,
}

/// OpenID Connect Discovery 1.0, section 3.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

// ----------------------------------------------------------------------------------------------

impl Provider {
    pub(crate) fn new(issuer: Issuer, http: reqwest::Client) -> Self {
        Self {
            issuer,
            http,
            known: RwLock::default(),
            turn: Mutex::default(),
            waiting: Semaphore::new(limits::JWKS_WAITERS),
            verified: Cache::new(limits::TOKENS_VERIFIED),
        }
    }

    /// Whether the provider signed the token.
    pub(crate) async fn verify(&self, token: &Token<'_>) -> Result<(), VerifyError> {
        let mut known = self.known();
        let mut found = match known.since {
            Some(since) if since.elapsed() < limits::LOGIN_ANSWERED => {
                known.keys.find(token.kid.as_deref(), token.algorithm)
            }
            _ => Found::Unknown,
        };
        if found == Found::Unknown {
            known = self.fetched().await?;
            found = known.keys.find(token.kid.as_deref(), token.algorithm);
        }
        let key = match found {
            Found::Key(key) => key,
            Found::Mismatch => return Err(TokenError::Algorithm.into()),
            Found::Unknown => return Err(TokenError::UnknownKey.into()),
        };
        let hash = token.hash();
        if self.verified.get(&hash) == Some(known.era) {
            return Ok(());
        }
        if !key.verify(token.algorithm, token.signed, &token.signature) {
            return Err(TokenError::Signature.into());
        }
        self.verified.insert(hash, known.era);
        Ok(())
    }

    /// Whether the provider answers, as found out within [`limits::JWKS_PROBE`].
    pub(crate) async fn probe(&self) -> Result<(), ProviderUnavailable> {
        if self
            .known()
            .since
            .is_some_and(|since| since.elapsed() < limits::JWKS_PROBE)
        {
            return Ok(());
        }
        self.fetched().await.map(drop)
    }

    /// The keys of a fetch that began after the call.
    async fn fetched(&self) -> Result<Known, ProviderUnavailable> {
        let asked = Instant::now();
        let unavailable = |problem: String| ProviderUnavailable {
            issuer: self.issuer.url.clone(),
            problem,
        };
        let _place = self
            .waiting
            .try_acquire()
            .map_err(|_| unavailable("too many logins wait for its keys".to_owned()))?;
        let mut turn = self.turn.lock().await;
        if turn.began.is_none_or(|began| began < asked) {
            if let Some(began) = turn.began {
                sleep_until(began + limits::JWKS_REFETCH).await;
            }
            let began = Instant::now();
            // Before the fetch: a caller who goes meanwhile leaves no gap in the pace.
            turn.began = Some(began);
            let fetched = timeout(limits::JWKS_FETCH, self.fetch()).await;
            let seconds = limits::JWKS_FETCH.as_secs();
            let problem = match fetched.unwrap_or_else(|_| Err(format!("no answer within {seconds} s"))) {
                Ok(keys) => {
                    self.learn(keys, began);
                    None
                }
                Err(problem) => Some(problem),
            };
            self.tell(turn.problem.as_deref(), problem.as_deref());
            turn.problem = problem;
        }
        match &turn.problem {
            None => Ok(self.known()),
            Some(problem) => Err(unavailable(problem.clone())),
        }
    }

    fn known(&self) -> Known {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn learn(&self, keys: Keys, since: Instant) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.since = Some(since);
        if *known.keys != keys {
            known.keys = Arc::new(keys);
            known.era += 1;
        }
    }

    /// Says what changed, once.
    fn tell(&self, before: Option<&str>, now: Option<&str>) {
        let issuer = &self.issuer.url;
        match (before, now) {
            (before, Some(problem)) if before != now => {
                tracing::warn!(
                    issuer,
                    problem,
                    "the keys of a provider cannot be had: its tokens are refused with 503"
                );
            }
            (Some(_), None) => tracing::info!(issuer, "the keys of a provider can be had again"),
            _ => {}
        }
    }

    async fn fetch(&self) -> Result<Keys, String> {
        let base = self.issuer.url.trim_end_matches('/');
        let discovery: Discovery = self.get(&format!("{base}/.well-known/openid-configuration")).await?;
        if discovery.issuer != self.issuer.url {
            return Err(format!(
                "its discovery document is of the issuer `{}`",
                discovery.issuer
            ));
        }
        // What was asked for in safety is not answered in the open.
        if self.issuer.url.starts_with("https:") && !discovery.jwks_uri.starts_with("https:") {
            return Err(format!("`jwks_uri` is not https: `{}`", discovery.jwks_uri));
        }
        let text = self.load(&discovery.jwks_uri).await?;
        Keys::parse(&text).map_err(str::to_owned)
    }

    async fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T, String> {
        let text = self.load(url).await?;
        serde_json::from_slice(&text).map_err(|error| format!("{url}: {error}"))
    }

    async fn load(&self, url: &str) -> Result<Vec<u8>, String> {
        let failed = |error: reqwest::Error| format!("{url}: {}", innermost(&error.without_url()));
        let mut answer = self.http.get(url).send().await.map_err(failed)?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(format!("{url}: it answers {}", answer.status()));
        }
        let mut text = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(failed)? {
            text.extend_from_slice(&part);
            if text.len() > limits::JWKS_DOCUMENT {
                return Err(format!("{url}: it is longer than {} bytes", limits::JWKS_DOCUMENT));
            }
        }
        Ok(text)
    }
}

/// What people can act on is the innermost cause.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
