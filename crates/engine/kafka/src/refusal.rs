//! Kafka does not let this client in: what librdkafka was told, and which of its properties are to be looked at.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::types::RDKafkaErrorCode as Code;
use sockeye_limits as limits;

/// Why; with what was said, by a broker, a provider of tokens, or OpenSSL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The provider gives no token.
    #[error(
        "no token is to be had (`sasl.oauthbearer.token.endpoint.url`, `sasl.oauthbearer.client.id`, \
         `sasl.oauthbearer.client.secret`; `https.ca.location` where the system does not trust the provider): {0}"
    )]
    Token(String),
    /// The brokers refuse the password or the token.
    #[error(
        "the brokers refuse who this is (`sasl.mechanisms`; `sasl.username` and `sasl.password`, or the token): {0}"
    )]
    Identity(String),
    /// One side does not trust the certificate of the other.
    #[error("TLS fails (`ssl.ca.location`, `ssl.certificate.location`, `ssl.key.location`): {0}")]
    Tls(String),
}

/// What was said last.
#[derive(Debug, Default)]
pub(crate) struct Refused(Mutex<Option<Refusal>>);

// ----------------------------------------------------------------------------------------------

impl Refusal {
    fn new(code: Code, said: &str) -> Option<Self> {
        // Of librdkafka's `rd_kafka_oauthbearer_set_token_failure0`.
        const NO_TOKEN: &str = "Failed to acquire SASL OAUTHBEARER token: ";
        match code {
            Code::Authentication => Some(match said.strip_prefix(NO_TOKEN) {
                Some(said) => Self::Token(one_line(said)),
                None => Self::Identity(one_line(said)),
            }),
            Code::SSL => Some(Self::Tls(one_line(said))),
            // A broker that refuses the certificate of a client says so after the handshake.
            Code::BrokerTransportFailure if said.contains("SSL routines") => Some(Self::Tls(one_line(said))),
            _ => None,
        }
    }
}

impl Refused {
    /// librdkafka has met this.
    pub(crate) fn hint(&self, code: Code, said: &str) {
        // It says this behind the reason.
        if code != Code::AllBrokersDown {
            *self.lock() = Refusal::new(code, said);
        }
    }

    pub(crate) fn last(&self) -> Option<Refusal> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Refusal>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What others say may be a page.
fn one_line(said: &str) -> String {
    let mut line = String::new();
    for word in said
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
    {
        if line.len() + word.len() > limits::KAFKA_SAID {
            line.push_str(" ..");
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_librdkafka_says_names_the_properties() {
        let check = |code, said: &str, expected: Option<&str>| {
            let refused = Refused::default();
            refused.hint(code, said);
            refused.hint(Code::AllBrokersDown, "2/2 brokers are down");
            let told = refused.last().map(|refusal| refusal.to_string());
            match (expected, &told) {
                (None, None) => {}
                (Some(part), Some(told)) if told.contains(part) && told.ends_with(said) => {}
                _ => panic!("{code:?} {said}: {told:?}"),
            }
        };
        check(
            Code::Authentication,
            "sasl_ssl://a:1/bootstrap: SASL authentication error: Authentication failed: Invalid username or password",
            Some("`sasl.password`"),
        );
        check(
            Code::SSL,
            "ssl://a:1/bootstrap: SSL handshake failed",
            Some("`ssl.ca.location`"),
        );
        check(
            Code::BrokerTransportFailure,
            "Receive failed: error:0A000412:SSL routines::sslv3 alert bad certificate",
            Some("`ssl.certificate.location`"),
        );
        check(Code::BrokerTransportFailure, "Connect failed: Connection refused", None);
        check(Code::MessageTimedOut, "", None);
    }

    #[test]
    fn an_answer_of_a_provider_is_one_line_that_ends() {
        let refused = Refused::default();
        let page = format!(
            "Failed to acquire SASL OAUTHBEARER token: <html>\r\n {}",
            "no such page ".repeat(100)
        );
        refused.hint(Code::Authentication, &page);
        let told = refused.last().unwrap().to_string();
        assert!(
            told.contains("`sasl.oauthbearer.token.endpoint.url`") && told.contains(": <html> no such page"),
            "{told}"
        );
        assert!(
            !told.contains('\n') && told.len() < limits::KAFKA_SAID + 300 && told.ends_with(" .."),
            "{told}"
        );
        refused.hint(Code::BrokerTransportFailure, "Connection refused");
        assert_eq!(refused.last(), None, "what is said last counts");
    }
}
