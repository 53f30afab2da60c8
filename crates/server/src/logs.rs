//! The log of the server itself, on standard error.

use std::io::IsTerminal;

use sockeye_access::audit;
use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::{LogConfig, LogFormat};

/// Sends all events of this process to standard error. If it was done before, that stays.
pub fn init(config: &LogConfig) {
    let mut filter = EnvFilter::builder()
        .parse(&config.level)
        .expect("the configuration was checked");
    if wants_audit(&config.level) {
        // Their requests belong to these lines (who is elsewhere, what was asked for), whatever else is left out.
        filter = filter.add_directive(REQUESTS.parse().expect("it is a directive"));
    }
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry()
        .with(filter)
        .with(filter_fn(keeps_secrets));
    let _ = match config.format {
        LogFormat::Text => registry
            .with(lines.with_ansi(std::io::stderr().is_terminal()))
            .try_init(),
        LogFormat::Json => registry
            .with(lines.json().flatten_event(true).with_span_list(false))
            .try_init(),
    };
}

/// The span of a request, which has no lines of this level itself.
const REQUESTS: &str = "sockeye_server::request=info";

/// Whether a line may be shown at all: `tokio_postgres` tells what it sends, passwords of devices too, whoever asks for its details.
fn keeps_secrets(line: &Metadata<'_>) -> bool {
    let tells_parameters = line.target().split("::").next() == Some("tokio_postgres");
    !tells_parameters || *line.level() <= Level::INFO
}

/// Whether lines of the audit log are wanted by their name.
fn wants_audit(level: &str) -> bool {
    level
        .split(',')
        .filter_map(|part| part.trim().split_once('='))
        .any(|(target, level)| {
            target == audit::TARGET && !["off", "error", "warn"].contains(&level.to_ascii_lowercase().as_str())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_log_brings_its_requests() {
        for (level, wanted) in [
            ("info", false),
            ("off,audit=info", true),
            ("warn, audit=DEBUG", true),
            ("info,audit=off", false),
            ("off,audit=warn", false),
            ("off,other_audit=info", false),
        ] {
            assert_eq!(wants_audit(level), wanted, "{level}");
        }
    }
}
