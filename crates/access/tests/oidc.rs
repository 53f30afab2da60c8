//! Tokens of a provider: those that count, those that do not, and what the provider has to bear.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod common;
mod provider;

use std::time::{Duration, Instant};

use common::{Watched, later};
use futures_util::future::join_all;
use jiff::Timestamp;
use provider::{Provider, Signer, hs256};
use serde_json::{Value, json};
use sockeye_access::oidc::{Issuer, Shape};
use sockeye_access::{
    Access, AuthenticateError, Caller, Credentials, Oidc, Proof, Secret, TenantTokens, TicketRefused, TokenError,
};
use sockeye_limits as limits;
use sockeye_registry::{Registry, UserIdentity};

type Outcome = Result<Caller, AuthenticateError>;

fn access(provider: &Provider, registry: std::sync::Arc<Watched>) -> Access {
    let issuer = Issuer {
        audiences: ["drogue".to_owned()].into(),
        ..Issuer::new(&provider.url, Shape::KEYCLOAK)
    };
    Access::new(registry).with_oidc(Oidc::new([issuer], &provider::http()))
}

async fn login(access: &Access, token: &str) -> Outcome {
    access.authenticate(&Credentials::Bearer(Secret::new(token))).await
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

fn claims(provider: &Provider) -> Value {
    json!({"iss": provider.url, "sub": "id of eve", "azp": "drogue", "exp": now() + 60, "preferred_username": "eve"})
}

fn refused(error: TokenError) -> Outcome {
    Err(AuthenticateError::Token(error))
}

#[tokio::test]
async fn tokens_that_count_and_those_that_do_not() {
    let signer = Signer::new("a");
    let provider = Provider::start(&[&signer]).await;
    let access = access(&provider, Watched::new());
    let with = |name: &str, value: Value| {
        let mut claims = claims(&provider);
        claims[name] = value;
        claims
    };
    let good = signer.sign(&claims(&provider));
    let Ok(Caller::User { name, admin, proof }) = login(&access, &good).await else {
        panic!()
    };
    assert_eq!((name.as_str(), admin), ("eve", false));
    let Proof::Token { identity, expires } = proof else {
        panic!("{proof:?}")
    };
    assert_eq!(
        (identity.issuer.as_str(), identity.subject.as_str()),
        (provider.url.as_str(), "id of eve")
    );
    assert!(expires > Timestamp::now());

    let parts: Vec<_> = good.split('.').collect();
    let other_claims = Signer::new("a").sign(&with("sub", json!("id of root")));
    let other_claims = other_claims.split('.').nth(1).unwrap();
    let unsigned = provider::part(&json!({"alg": "none"}));
    let table = [
        ("expired", signer.sign(&with("exp", json!(now()))), TokenError::Expired),
        (
            "not yet",
            signer.sign(&with("nbf", json!(now() + 60))),
            TokenError::NotYet,
        ),
        (
            "wrong issuer",
            signer.sign(&with("iss", json!("https://evil.example"))),
            TokenError::Issuer,
        ),
        (
            "issuer with a slash",
            signer.sign(&with("iss", json!(format!("{}/", provider.url)))),
            TokenError::Issuer,
        ),
        (
            "wrong audience",
            signer.sign(&with("azp", json!("other"))),
            TokenError::Audience,
        ),
        (
            "no audience",
            signer.sign(&with("azp", Value::Null)),
            TokenError::Audience,
        ),
        (
            "no expiry",
            signer.sign(&with("exp", Value::Null)),
            TokenError::Claim("exp"),
        ),
        ("alg none", format!("{unsigned}.{}.", parts[1]), TokenError::Algorithm),
        (
            "alg none, signed",
            format!("{unsigned}.{}.{}", parts[1], parts[2]),
            TokenError::Algorithm,
        ),
        (
            "HS256 with the public key",
            hs256(&signer, &claims(&provider)),
            TokenError::Algorithm,
        ),
        (
            "another's signature",
            Signer::new("a").sign(&claims(&provider)),
            TokenError::Signature,
        ),
        (
            "other claims",
            format!("{}.{other_claims}.{}", parts[0], parts[2]),
            TokenError::Signature,
        ),
        (
            "unknown key",
            Signer::new("b").sign(&claims(&provider)),
            TokenError::UnknownKey,
        ),
        ("truncated", good[..good.len() - 2].to_owned(), TokenError::Signature),
        ("truncated more", good[..20].to_owned(), TokenError::Malformed),
        (
            "100 KB",
            signer.sign(&with("much", json!("x".repeat(100_000)))),
            TokenError::TooLong,
        ),
        (
            "a name that cannot be",
            signer.sign(&{
                let mut claims = with("preferred_username", json!("a:b"));
                claims["sub"] = json!("c:d");
                claims
            }),
            TokenError::Name,
        ),
    ];
    for (what, token, expected) in table {
        assert_eq!(login(&access, &token).await, refused(expected), "{what}");
    }
}

#[tokio::test]
async fn no_provider_no_tokens() {
    let access = Access::new(Watched::new());
    assert_eq!(login(&access, "a.b.c").await, Err(AuthenticateError::NoProvider));
}

/// A user is who the provider says by `iss` and `sub`: a name alone makes nobody another user.
#[tokio::test]
async fn users_are_learned_and_stay_who_they_are() {
    let signer = Signer::new("a");
    let provider = Provider::start(&[&signer]).await;
    let registry = Watched::new();
    registry.ensure_user("admin", true).await.unwrap();
    let access = access(&provider, registry.clone());
    let login_as = async |sub: &str, name: &str| {
        let mut claims = claims(&provider);
        claims["sub"] = sub.into();
        claims["preferred_username"] = name.into();
        let outcome = login(&access, &signer.sign(&claims)).await;
        outcome.map(|caller| match caller {
            Caller::User { name, .. } => name,
            Caller::Anonymous | Caller::Tenant { .. } => panic!("nobody"),
        })
    };
    assert_eq!(login_as("1", "eve").await, Ok("eve".to_owned()));
    assert_eq!(
        login_as("1", "eva").await,
        Ok("eve".to_owned()),
        "a new name makes no new user"
    );
    for name in ["eve", "admin"] {
        assert_eq!(
            login_as("2", name).await,
            Err(AuthenticateError::NameTaken(name.into()))
        );
    }
    let identity = UserIdentity {
        issuer: provider.url.clone(),
        subject: "1".into(),
    };
    assert_eq!(registry.user_of(&identity).await.unwrap().unwrap().name, "eve");
    registry.set_user_disabled("eve", true).await.unwrap();
    assert_eq!(login_as("1", "eve").await, Err(AuthenticateError::UserDisabled));
}

#[tokio::test]
async fn garbage_does_not_hammer_the_provider() {
    let signer = Signer::new("a");
    let provider = Provider::start(&[&signer]).await;
    let access = access(&provider, Watched::new());
    let good = signer.sign(&claims(&provider));
    login(&access, &good).await.unwrap();
    assert_eq!(provider.fetches(), 1);
    let (start, mut rounds) = (Instant::now(), 0);
    while start.elapsed() < 2 * limits::JWKS_REFETCH {
        let garbage = (0..100).map(|number| Signer::new(&format!("{rounds} {number}")).sign(&claims(&provider)));
        let garbage: Vec<_> = garbage.collect();
        let outcomes = join_all(garbage.iter().map(|token| login(&access, token))).await;
        assert!(
            outcomes
                .iter()
                .all(|outcome| *outcome == refused(TokenError::UnknownKey))
        );
        // Who is known waits for nobody.
        login(&access, &good).await.unwrap();
        rounds += 1;
    }
    let most = 1 + start.elapsed().div_duration_f64(limits::JWKS_REFETCH).ceil() as usize;
    assert!(
        provider.fetches() <= most,
        "{} fetches in {:?}",
        provider.fetches(),
        start.elapsed()
    );
    assert!(provider.fetches() > 1, "unknown keys are looked for");
}

/// What would be refused whatever the keys are does not even ask for them.
#[tokio::test]
async fn hopeless_tokens_cause_no_fetch() {
    let provider = Provider::start(&[]).await;
    let access = access(&provider, Watched::new());
    let mut claims = claims(&provider);
    claims["exp"] = json!(now() - 1);
    assert_eq!(
        login(&access, &Signer::new("b").sign(&claims)).await,
        refused(TokenError::Expired)
    );
    assert_eq!(provider.fetches(), 0);
}

/// The defect 13 of compat/drogue.md section 9, from the side of the provider; with Keycloak in the command line's tests.
#[tokio::test]
async fn a_rotation_under_load_refuses_no_valid_token() {
    let mut signer = Signer::new("0");
    let provider = Provider::start(&[&signer]).await;
    let access = access(&provider, Watched::new());
    for round in 1..=3 {
        let old = signer.sign(&claims(&provider));
        login(&access, &old).await.unwrap();
        signer = Signer::new(&round.to_string());
        provider.publish(&[&signer]);
        let tokens: Vec<_> = (0..50)
            .map(|number| match number % 5 {
                0 => Signer::new("unknown").sign(&claims(&provider)),
                _ => signer.sign(&claims(&provider)),
            })
            .collect();
        let outcomes = join_all(tokens.iter().map(|token| login(&access, token))).await;
        let refused = outcomes.iter().filter(|outcome| outcome.is_err()).count();
        assert_eq!(refused, 10, "{outcomes:?}");
        let gone = login(&access, &old).await;
        assert_eq!(
            gone,
            Err(AuthenticateError::Token(TokenError::UnknownKey)),
            "what the provider gave up"
        );
    }
}

/// Signatures are remembered; with the key, they are forgotten.
#[tokio::test]
async fn a_token_that_was_verified_ends_with_its_key_and_its_time() {
    let (signer, next) = (Signer::new("a"), Signer::new("b"));
    let provider = Provider::start(&[&signer]).await;
    let access = access(&provider, Watched::new());
    let token = signer.sign(&claims(&provider));
    for _ in 0..2 {
        login(&access, &token).await.unwrap();
    }
    // Another key with the same name; what is signed with the new one has all of them fetched.
    let namesake = Signer::new("a");
    provider.publish(&[&namesake, &next]);
    login(&access, &next.sign(&claims(&provider))).await.unwrap();
    assert_eq!(login(&access, &token).await, refused(TokenError::Signature));
    login(&access, &namesake.sign(&claims(&provider))).await.unwrap();

    let mut short = claims(&provider);
    short["exp"] = json!(now() + 2);
    let short = namesake.sign(&short);
    login(&access, &short).await.unwrap();
    while login(&access, &short).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(login(&access, &short).await, refused(TokenError::Expired));
}

#[tokio::test]
async fn a_provider_that_is_away_is_told_and_comes_back() {
    let signer = Signer::new("a");
    let provider = Provider::start(&[&signer]).await;
    let access = access(&provider, Watched::new());
    let good = signer.sign(&claims(&provider));
    provider.set_down(true);
    let Err(AuthenticateError::ProviderUnavailable(error)) = login(&access, &good).await else {
        panic!()
    };
    assert_eq!(error.issuer, provider.url);
    assert!(error.problem.contains("500"), "{error}");
    assert_eq!(access.oidc().unwrap().probe().await.len(), 1);
    provider.set_down(false);
    login(&access, &good).await.unwrap();
    assert!(access.oidc().unwrap().probe().await.is_empty());
    // What is known lets somebody in for as long as it may be taken to answer still.
    provider.set_down(true);
    login(&access, &good).await.unwrap();
    later(limits::LOGIN_ANSWERED).await;
    let refused = login(&access, &good).await;
    assert!(
        matches!(refused, Err(AuthenticateError::ProviderUnavailable(_))),
        "{refused:?}"
    );
    provider.set_down(false);
    login(&access, &good).await.unwrap();
}

/// Tokens of each count beside the other's, and are of its own users: the same `sub` there is somebody else. That one is away is
/// nothing to the other.
#[tokio::test]
async fn several_providers_are_beside_each_other() {
    let (signer, other_signer) = (Signer::new("a"), Signer::new("a"));
    let provider = Provider::start(&[&signer]).await;
    let other = Provider::start(&[&other_signer]).await;
    let issuer = |provider: &Provider, shape| Issuer {
        audiences: ["drogue".to_owned()].into(),
        ..Issuer::new(&provider.url, shape)
    };
    let issuers = [issuer(&provider, Shape::KEYCLOAK), issuer(&other, Shape::DEX)];
    let access = Access::new(Watched::new()).with_oidc(Oidc::new(issuers, &provider::http()));
    let eve = signer.sign(&claims(&provider));
    let mut namesake = claims(&other);
    namesake["preferred_username"] = json!("another eve");
    let namesake = other_signer.sign(&namesake);
    for (token, expected) in [(&eve, "eve"), (&namesake, "another eve")] {
        let Ok(Caller::User { name, .. }) = login(&access, token).await else {
            panic!("{expected}")
        };
        assert_eq!(name, expected);
    }
    let crossed = other_signer.sign(&claims(&provider));
    assert_eq!(login(&access, &crossed).await, refused(TokenError::Signature));
    other.set_down(true);
    later(limits::LOGIN_ANSWERED).await;
    login(&access, &eve).await.unwrap();
    assert!(login(&access, &namesake).await.is_err());
    assert_eq!(access.oidc().unwrap().probe().await.len(), 1);
}

#[tokio::test]
async fn documents_that_cannot_be_trusted_are_not() {
    let signer = Signer::new("a");
    let provider = Provider::start(&[&signer]).await;
    let good = signer.sign(&claims(&provider));
    for (what, documents, part) in [
        (
            "another issuer",
            json!({"issuer": "https://evil.example"}),
            "is of the issuer `https://evil.example`",
        ),
        ("no keys", json!({"keys": []}), "no key"),
        (
            "much",
            json!({"keys": "x".repeat(limits::JWKS_DOCUMENT)}),
            "longer than",
        ),
        ("no document", json!({"issuer": null}), "invalid type"),
    ] {
        provider.answer(&documents);
        let Err(AuthenticateError::ProviderUnavailable(error)) = login(&access(&provider, Watched::new()), &good).await
        else {
            panic!("{what}")
        };
        assert!(error.problem.contains(part), "{what}: {error}");
    }
}

/// compat/dojot.md, decisions 2 and 3: a claim names the tenant, and who comes with a ticket is who fetched it, as long as that one
/// counts.
#[tokio::test]
async fn a_claim_names_the_tenant_and_a_ticket_admits_its_holder() {
    const LIFE: Duration = Duration::from_mins(1);
    let signer = Signer::new("a");
    let provider = Provider::start(&[&signer]).await;
    let registry = Watched::new();
    let access = access(&provider, registry.clone());
    let tokens = TenantTokens::new("service");
    let authenticate = async |claims: &Value| {
        let token = Secret::new(signer.sign(claims));
        tokens.authenticate(&access, &Credentials::Bearer(token)).await
    };
    let user = authenticate(&claims(&provider)).await.unwrap();
    assert!(
        matches!(&user.caller, Caller::User { name, .. } if name == "eve"),
        "{user:?}"
    );
    let mut named = claims(&provider);
    named["service"] = json!("Garden");
    let tenant = authenticate(&named).await.unwrap();
    assert!(
        matches!(&tenant.caller, Caller::Tenant { tenant, user: Some(user), .. } if tenant == "garden" && user == "eve"),
        "{tenant:?}"
    );
    named["exp"] = json!(now());
    assert!(authenticate(&named).await.is_err());
    for holder in [user, tenant] {
        let ticket = access.issue_ticket(&holder, LIFE).await.unwrap();
        let redeem = async || access.redeem_ticket(ticket.expose()).await.unwrap();
        assert_eq!(redeem().await, Some(holder.clone()));
        assert_eq!(redeem().await, None);
        let ticket = access.issue_ticket(&holder, LIFE).await.unwrap();
        registry.set_user_disabled("eve", true).await.unwrap();
        assert_eq!(access.redeem_ticket(ticket.expose()).await, Ok(None));
        registry.set_user_disabled("eve", false).await.unwrap();
        assert_eq!(access.redeem_ticket(ticket.expose()).await, Ok(None), "it was used");
        // A token of our own is no ticket.
        let token = access.issue_token(&holder.caller).await.unwrap();
        assert_eq!(access.redeem_ticket(token.expose()).await, Ok(None));
        let again = tokens.authenticate(&access, &Credentials::Bearer(token)).await.unwrap();
        assert_eq!(again.caller, holder.caller);
    }
    let nobody = access.issue_ticket(&Caller::Anonymous.into(), LIFE).await;
    assert_eq!(nobody.unwrap_err(), TicketRefused::Anonymous);
}
