//! Public keys of providers (RFC 7517, 7518, 8037), and signatures that they verify.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature as sig;
use serde::Deserialize;
use serde_json::Value;
use sockeye_limits as limits;

/// How a token is signed (RFC 7518 section 3.1, RFC 8037). There are no others: a symmetric one would take a public key for a
/// secret, and `none` is no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

/// The keys of one provider that verify signatures.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Keys(Vec<Key>);

#[derive(Debug, PartialEq)]
pub(crate) struct Key {
    kid: Option<String>,
    /// If only this one.
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Debug, PartialEq)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// What was found for a token.
#[derive(Debug, PartialEq)]
pub(crate) enum Found<'a> {
    Key(&'a Key),
    /// The key is there, and not for this algorithm.
    Mismatch,
    Unknown,
}

/// A JWK Set; what is not understood within is passed over (RFC 7517 section 5).
#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

// ----------------------------------------------------------------------------------------------

impl Algorithm {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }
}

impl Keys {
    /// Reads a JWK Set. Keys for encryption, and those of kinds that are not known, are left out.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, &'static str> {
        let document: Document =
            serde_json::from_slice(text).map_err(|_| "its keys are no JWK Set: a JSON object with `keys`")?;
        if document.keys.len() > limits::JWKS_KEYS {
            return Err("it has more keys than are taken");
        }
        let keys: Vec<_> = document.keys.into_iter().filter_map(Key::of).collect();
        if keys.is_empty() {
            return Err("it has no key that could verify a token (RS, PS, ES256, ES384 or EdDSA)");
        }
        Ok(Self(keys))
    }

    /// The key of a token. Without a `kid` only if there is no choice.
    pub(crate) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Found<'_> {
        let mut named = self
            .0
            .iter()
            .filter(|key| kid.is_none() || key.kid.as_deref() == kid)
            .peekable();
        if named.peek().is_none() {
            return Found::Unknown;
        }
        let mut fitting = named.filter(|key| key.fits(algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Found::Key(key),
            _ => Found::Mismatch,
        }
    }
}

impl Key {
    fn of(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        if jwk.usage.is_some_and(|usage| usage != "sig") {
            return None;
        }
        let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
        let point = |length: usize| {
            let (x, y) = (bytes(&jwk.x)?, bytes(&jwk.y)?);
            (x.len() == length && y.len() == length).then(|| [&[4], &*x, &*y].concat())
        };
        let material = match (&*jwk.kty, jwk.crv.as_deref()) {
            ("RSA", _) => Material::Rsa {
                n: bytes(&jwk.n)?,
                e: bytes(&jwk.e)?,
            },
            ("EC", Some("P-256")) => Material::P256(point(32)?),
            ("EC", Some("P-384")) => Material::P384(point(48)?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes(&jwk.x)?),
            _ => return None,
        };
        let algorithm = match &jwk.alg {
            Some(name) => Some(Algorithm::named(name)?),
            None => None,
        };
        Some(Self {
            kid: jwk.kid,
            algorithm,
            material,
        })
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|only| only == algorithm) && self.verifier(algorithm).is_some()
    }

    /// Whether this key signed the message.
    pub(crate) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let Some(verifier) = self.verifier(algorithm) else {
            return false;
        };
        match (&self.material, verifier) {
            (Material::Rsa { n, e }, Verifier::Rsa(parameters)) => sig::RsaPublicKeyComponents { n, e }
                .verify(parameters, message, signature)
                .is_ok(),
            (Material::P256(key) | Material::P384(key) | Material::Ed25519(key), Verifier::Other(kind)) => {
                sig::UnparsedPublicKey::new(kind, key)
                    .verify(message, signature)
                    .is_ok()
            }
            _ => false,
        }
    }

    fn verifier(&self, algorithm: Algorithm) -> Option<Verifier> {
        Some(match (&self.material, algorithm) {
            (Material::Rsa { .. }, Algorithm::Rs256) => Verifier::Rsa(&sig::RSA_PKCS1_2048_8192_SHA256),
            (Material::Rsa { .. }, Algorithm::Rs384) => Verifier::Rsa(&sig::RSA_PKCS1_2048_8192_SHA384),
            (Material::Rsa { .. }, Algorithm::Rs512) => Verifier::Rsa(&sig::RSA_PKCS1_2048_8192_SHA512),
            (Material::Rsa { .. }, Algorithm::Ps256) => Verifier::Rsa(&sig::RSA_PSS_2048_8192_SHA256),
            (Material::Rsa { .. }, Algorithm::Ps384) => Verifier::Rsa(&sig::RSA_PSS_2048_8192_SHA384),
            (Material::Rsa { .. }, Algorithm::Ps512) => Verifier::Rsa(&sig::RSA_PSS_2048_8192_SHA512),
            (Material::P256(_), Algorithm::Es256) => Verifier::Other(&sig::ECDSA_P256_SHA256_FIXED),
            (Material::P384(_), Algorithm::Es384) => Verifier::Other(&sig::ECDSA_P384_SHA384_FIXED),
            (Material::Ed25519(_), Algorithm::EdDsa) => Verifier::Other(&sig::ED25519),
            _ => return None,
        })
    }
}

/// The two ways in which keys are given to the library.
enum Verifier {
    Rsa(&'static sig::RsaParameters),
    Other(&'static dyn sig::VerificationAlgorithm),
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{Ed25519KeyPair, KeyPair};
    use serde_json::json;

    use super::*;

    fn keys(keys: &Value) -> Result<Keys, &'static str> {
        Keys::parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    fn pair() -> (Ed25519KeyPair, Value) {
        let pair = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(pair.as_ref()).unwrap();
        let x = URL_SAFE_NO_PAD.encode(pair.public_key());
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "a"});
        (pair, jwk)
    }

    #[test]
    fn a_signature_is_verified_by_its_key_alone() {
        let (pair, jwk) = pair();
        let keys = keys(&json!([jwk])).unwrap();
        let Found::Key(key) = keys.find(Some("a"), Algorithm::EdDsa) else {
            panic!("{keys:?}")
        };
        let signature = pair.sign(b"message");
        assert!(key.verify(Algorithm::EdDsa, b"message", signature.as_ref()));
        assert!(!key.verify(Algorithm::EdDsa, b"massage", signature.as_ref()));
        assert!(!key.verify(Algorithm::EdDsa, b"message", b""));
        for other in [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256] {
            assert!(!key.verify(other, b"message", signature.as_ref()));
            assert_eq!(keys.find(Some("a"), other), Found::Mismatch);
        }
    }

    #[test]
    fn a_token_without_a_kid_has_a_key_if_there_is_no_choice() {
        let (_, one) = pair();
        let (_, mut two) = pair();
        two["kid"] = "b".into();
        let alone = keys(&json!([one])).unwrap();
        assert!(matches!(alone.find(None, Algorithm::EdDsa), Found::Key(_)));
        assert_eq!(alone.find(Some("c"), Algorithm::EdDsa), Found::Unknown);
        let both = keys(&json!([one, two])).unwrap();
        assert_eq!(both.find(None, Algorithm::EdDsa), Found::Mismatch);
        assert!(matches!(both.find(Some("b"), Algorithm::EdDsa), Found::Key(_)));
    }

    #[test]
    fn keys_that_verify_nothing_are_left_out() {
        let (_, good) = pair();
        let with = |name: &str, value: &str| {
            let mut key = good.clone();
            key[name] = value.into();
            key
        };
        let others = [
            with("use", "enc"),
            with("kty", "oct"),
            with("crv", "Ed448"),
            with("alg", "HS256"),
            with("x", "not base64!"),
            json!({"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}),
            json!("text"),
        ];
        for other in others {
            assert!(keys(&json!([other])).is_err(), "{other}");
            assert_eq!(keys(&json!([other, good])).unwrap().0.len(), 1, "{other}");
        }
        assert!(Keys::parse(b"<html>").is_err());
        let many = vec![good; limits::JWKS_KEYS + 1];
        assert!(keys(&json!(many)).is_err());
    }
}
