//! Values of settings, from the text that people write. `None` is a value that is not allowed.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use sockeye_access::oidc::Shape;
use sockeye_limits as limits;
pub(crate) use sockeye_policy::units::{duration, retention_age, size};
use tracing_subscriber::EnvFilter;
use url::{Host, Url};

use crate::proxy::Network;

/// A value that may also be a word, which is `None` in the configuration.
#[expect(clippy::option_option, reason = "the outer one tells whether the value is allowed")]
pub(crate) fn or<T>(word: &str, text: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    if text == word {
        Some(None)
    } else {
        parse(text).map(Some)
    }
}

/// A path that is not empty.
pub(crate) fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

/// Paths with commas between them.
pub(crate) fn paths(text: &str) -> Option<Vec<PathBuf>> {
    let paths: Vec<_> = text.split(',').map(|text| path(text.trim())).collect::<Option<_>>()?;
    (paths.len() <= limits::TLS_CERTIFICATES).then_some(paths)
}

/// Addresses and networks with spaces between them.
pub(crate) fn networks(text: &str) -> Option<Vec<Network>> {
    let networks: Vec<_> = words(text)?
        .iter()
        .map(|word| word.parse().ok())
        .collect::<Option<_>>()?;
    (networks.len() <= limits::PROXY_NETWORKS).then_some(networks)
}

/// `on` or `off`.
pub(crate) fn switch(text: &str) -> Option<bool> {
    match text {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

/// A plain decimal number within these bounds.
pub(crate) fn number(text: &str, least: usize, most: usize) -> Option<usize> {
    text.parse().ok().filter(|number| (least..=most).contains(number))
}

/// A duration of so many whole seconds.
pub(crate) fn seconds(text: &str, allowed: RangeInclusive<u64>) -> Option<Duration> {
    duration(text).filter(|time| allowed.contains(&time.as_secs()))
}

/// URLs of providers: what is fetched from them has to be theirs, so that nobody stands between but on this machine.
pub(crate) fn issuers(text: &str) -> Option<Vec<String>> {
    if text == "off" {
        return Some(Vec::new());
    }
    let issuers = words(text)?;
    let allowed = |issuer: &String| {
        let Ok(url) = issuer.parse::<Url>() else { return false };
        let local = || match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        let nothing_else = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        nothing_else && (url.scheme() == "https" || (url.scheme() == "http" && local()))
    };
    let different = issuers.iter().collect::<BTreeSet<_>>().len() == issuers.len();
    (different && issuers.len() <= limits::OIDC_ISSUERS && issuers.iter().all(allowed)).then_some(issuers)
}

/// The beginning of a URL as clients put paths behind it: scheme, host and port, without a `/` at its end.
pub(crate) fn origin(text: &str) -> Option<String> {
    let url: Url = text.parse().ok()?;
    let is_origin = matches!(url.scheme(), "http" | "https")
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    is_origin.then(|| url.origin().ascii_serialization())
}

/// Words with spaces between them, at least one.
pub(crate) fn words(text: &str) -> Option<Vec<String>> {
    let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
    (!words.is_empty()).then_some(words)
}

/// One word.
pub(crate) fn word(text: &str) -> Option<String> {
    let mut words = words(text)?;
    (words.len() == 1).then(|| words.remove(0))
}

/// Where providers put names and roles.
pub(crate) fn shapes(text: &str) -> Option<Vec<Shape>> {
    let shape = |word: String| match &*word {
        "keycloak" => Some(Shape::KEYCLOAK),
        "dex" => Some(Shape::DEX),
        "entra" => Some(Shape::ENTRA),
        _ => None,
    };
    words(text)?.into_iter().map(shape).collect()
}

/// Brokers of Kafka: `host:port`, with commas between them.
pub(crate) fn brokers(text: &str) -> Option<String> {
    let broker = |text: &str| {
        let (host, port) = text.rsplit_once(':')?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_[]:".contains(c);
        (!host.is_empty() && host.chars().all(allowed) && port.parse::<u16>().is_ok_and(|port| port > 0)).then_some(())
    };
    text.split(',')
        .try_for_each(|one| broker(one.trim()))
        .map(|()| text.to_owned())
}

/// What topics of Kafka are called.
pub(crate) fn topics(text: &str) -> Option<String> {
    sockeye_engine_kafka::is_pattern(text).then(|| text.to_owned())
}

/// Where a database of PostgreSQL is. The rest of it is read when it is opened.
pub(crate) fn postgres(text: &str) -> Option<String> {
    ["postgresql://", "postgres://"]
        .iter()
        .any(|scheme| text.starts_with(scheme))
        .then(|| text.to_owned())
}

/// A name that is safe in the attribute of an event and in a URI.
pub(crate) fn instance(text: &str) -> Option<String> {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || b".-_".contains(&c);
    ((1..=63).contains(&text.len()) && text.bytes().all(allowed)).then(|| text.to_owned())
}

/// A level, or levels of modules. `tracing-subscriber` takes any word as the name of a module, also a level that is
/// misspelt; here a word alone is a level.
pub(crate) fn log_level(text: &str) -> Option<String> {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
    let known = text.split(',').all(|part| {
        let level = part.rsplit_once('=').map_or(part, |(_module, level)| level);
        LEVELS.contains(&level.trim().to_ascii_lowercase().as_str())
    });
    (known && EnvFilter::builder().parse(text).is_ok()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("10s", Some(10)),
            ("1m30s", Some(90)),
            ("1d12h", Some(36 * 3600)),
            ("7d", Some(7 * 86_400)),
            ("1 week", Some(7 * 86_400)),
            ("0s", Some(0)),
            ("10", None),
            ("", None),
            ("-1s", None),
            ("1 month", None), // of unknown length
            ("soon", None),
        ] {
            assert_eq!(duration(text).map(|time| time.as_secs()), seconds, "{text:?}");
        }
    }

    #[test]
    fn an_origin_has_nothing_behind_it() {
        for (text, read) in [
            ("https://events.example.com", Some("https://events.example.com")),
            ("https://events.example.com/", Some("https://events.example.com")),
            ("HTTP://Events.Example.com:8080", Some("http://events.example.com:8080")),
            ("https://events.example.com/prefix", None),
            ("https://events.example.com?a", None),
            ("https://me:pw@events.example.com", None),
            ("wss://events.example.com", None),
            ("events.example.com", None),
            ("", None),
        ] {
            assert_eq!(origin(text).as_deref(), read, "{text:?}");
        }
    }

    #[test]
    fn issuers_are_safe_or_on_this_machine() {
        for (text, number) in [
            ("off", Some(0)),
            ("https://id.example/realms/a", Some(1)),
            ("https://id.example https://other.example/", Some(2)),
            ("http://127.0.0.1:8081/realms/a", Some(1)),
            ("http://localhost:8081", Some(1)),
            ("http://[::1]:8081", Some(1)),
            ("http://id.example", None),
            ("http://localhost.example", None),
            ("https://id.example https://id.example", None),
            ("https://id.example?a=b", None),
            ("https://me@id.example", None),
            ("id.example", None),
            ("ftp://id.example", None),
            ("", None),
        ] {
            assert_eq!(issuers(text).map(|issuers| issuers.len()), number, "{text:?}");
        }
        let many: Vec<_> = (0..=limits::OIDC_ISSUERS)
            .map(|number| format!("https://{number}.example"))
            .collect();
        assert_eq!(issuers(&many.join(" ")), None);
        assert_eq!(
            issuers(&many[1..].join(" ")).map(|issuers| issuers.len()),
            Some(limits::OIDC_ISSUERS)
        );
    }

    #[test]
    fn several_paths() {
        for (text, number) in [
            ("a.pem", Some(1)),
            ("/etc/a b.pem, /etc/c.pem", Some(2)),
            ("", None),
            ("a.pem,", None),
            (&"a,".repeat(limits::TLS_CERTIFICATES), None),
        ] {
            assert_eq!(paths(text).map(|paths| paths.len()), number, "{text:?}");
        }
        let most = vec!["a"; limits::TLS_CERTIFICATES];
        assert!(paths(&most.join(",")).is_some());
        assert!(paths(&[&most[..], &["a"]].concat().join(",")).is_none());
    }

    #[test]
    fn brokers_of_kafka() {
        for (text, allowed) in [
            ("kafka:9092", true),
            ("kafka-1.example:9092, 127.0.0.1:9093", true),
            ("[::1]:9092", true),
            ("kafka", false),
            ("kafka:0", false),
            ("kafka:port", false),
            (":9092", false),
            ("kafka:9092,", false),
            ("kafka:9092 kafka:9093", false),
            ("PLAINTEXT://kafka:9092", false),
            ("", false),
        ] {
            assert_eq!(brokers(text).is_some(), allowed, "{text:?}");
        }
    }

    #[test]
    fn log_levels() {
        for (text, allowed) in [
            ("info", true),
            ("off", true),
            ("info,sockeye_delivery=debug", true),
            ("sockeye_server=trace, warn", true),
            ("inof", false),
            ("info,sockeye_delivery=loud", false),
            ("", false),
        ] {
            assert_eq!(log_level(text).is_some(), allowed, "{text:?}");
        }
    }
}
