//! Prints the temperatures of the application `drogue-public-temperature`, per device, as they come.
//!
//! ```text
//! SOCKEYE_KEY=admin:drg_... temperatures [ws://127.0.0.1:8080]
//! ```
//!
//! The whole of what a client of Sockeye has to do: open a WebSocket with an access key, read one CloudEvent per text
//! frame, and connect again when the server went away.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, bail};
use futures_util::StreamExt as _;
use rand::RngExt as _;
use serde_json::Value;
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Error, Message, client::ClientRequestBuilder},
};

const APPLICATION: &str = "drogue-public-temperature";
/// What devices call a temperature.
const NAMES: [&str; 4] = ["temp", "temperature", "celsius", "t"];
/// The server pings every five seconds.
const SILENCE: Duration = Duration::from_secs(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let server = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "ws://127.0.0.1:8080".to_owned());
    let key = std::env::var("SOCKEYE_KEY").context("set SOCKEYE_KEY to an access key, `user:drg_...`")?;
    let mut temperatures = BTreeMap::new();
    let mut pause = Duration::from_millis(250);
    loop {
        match stream(&server, &key, &mut temperatures).await {
            Ok(()) => pause = Duration::from_millis(250),
            // The server answered, and its answer will not change.
            Err(Error::Http(response)) if response.status().is_client_error() => {
                bail!("the server refused the stream: {}", response.status())
            }
            Err(error) => eprintln!("{error}"),
        }
        let wait = pause.mul_f64(rand::rng().random_range(0.5..=1.0));
        eprintln!("connecting again in {:.1} s", wait.as_secs_f64());
        tokio::time::sleep(wait).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One connection, to its end.
async fn stream(server: &str, key: &str, temperatures: &mut BTreeMap<String, f64>) -> Result<(), Error> {
    let uri = format!("{}/{APPLICATION}", server.trim_end_matches('/')).parse()?;
    let request = ClientRequestBuilder::new(uri).with_header("Authorization", format!("Bearer {key}"));
    let (mut socket, _) = connect_async(request).await?;
    eprintln!("streaming {APPLICATION}");
    while let Ok(Some(message)) = tokio::time::timeout(SILENCE, socket.next()).await {
        match message? {
            Message::Text(text) => {
                if let Some((device, celsius)) = temperature(&text) {
                    temperatures.insert(device, celsius);
                    println!("{}", line(temperatures));
                }
            }
            Message::Close(_) => break,
            _ => {}
        }
    }
    Ok(())
}

/// Device and temperature of an event, if it tells one.
fn temperature(event: &str) -> Option<(String, f64)> {
    let event: Value = serde_json::from_str(event).ok()?;
    let celsius = NAMES.iter().find_map(|name| event["data"][name].as_f64())?;
    Some((event["device"].as_str()?.to_owned(), celsius))
}

fn line(temperatures: &BTreeMap<String, f64>) -> String {
    let all: Vec<_> = temperatures
        .iter()
        .map(|(device, celsius)| format!("{device} {celsius:.1} °C"))
        .collect();
    all.join("   ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temperatures_are_found_where_devices_put_them() {
        let event = r#"{"device":"d","data":{"celsius":21.5}}"#;
        assert_eq!(temperature(event), Some(("d".to_owned(), 21.5)));
        assert_eq!(temperature(r#"{"device":"d","data":{"usage_percent":3}}"#), None);
        assert_eq!(temperature("no JSON"), None);
    }
}
