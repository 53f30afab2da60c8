//! The client's end of a stream: one WebSocket, and what its end means.

use std::fmt;

use anyhow::{Result, anyhow};
use futures_util::{SinkExt as _, StreamExt as _};
use sockeye_limits as limits;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest as _,
        http::{HeaderValue, StatusCode, header},
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};
use url::Url;

use crate::{
    client::{Caller, Login, endpoint, refusal},
    trust::{TRUST_IT, Trust, is_distrust},
};

/// Where the server says at which cursor a stream begins.
const BEGIN: &str = "sockeye-cursor";

/// What to read, and as whom.
pub struct Source {
    pub url: Url,
    pub application: String,
    pub channel: Option<String>,
    pub login: Option<Login>,
    pub trust: Trust,
    /// Of the query, but for `from`.
    pub parameters: Vec<(&'static str, String)>,
}

/// An open stream.
pub struct Socket {
    inner: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Where the stream begins, if cursors were asked for and the server has them.
    pub begin: Option<String>,
}

/// Why a stream ended, or did not begin.
#[derive(Debug)]
pub enum Ended {
    /// Trying again cannot help: the text says why.
    ForGood(String),
    /// Trying again may help.
    ForNow(String),
    /// Everything that was asked for has come.
    Complete,
    /// What follows the place that was asked for is gone; the oldest that is left follows this cursor.
    Gone { reason: String, oldest: String },
}

// ----------------------------------------------------------------------------------------------

impl Source {
    /// The address of the stream.
    pub fn address(&self) -> Result<Url> {
        let segments: Vec<&str> = [Some(self.application.as_str()), self.channel.as_deref()]
            .into_iter()
            .flatten()
            .collect();
        let mut url = endpoint(&self.url, &segments);
        let scheme = match url.scheme() {
            "http" | "ws" => "ws",
            "https" | "wss" => "wss",
            other => {
                return Err(anyhow!(
                    "--url must start with http:// or https://, `{other}` is not known"
                ));
            }
        };
        url.set_scheme(scheme)
            .map_err(|()| anyhow!("{url} cannot be the address of a stream"))?;
        Ok(url)
    }

    /// Opens the stream: live, or from a place in the past.
    pub async fn connect(&self, from: Option<&str>) -> Result<Socket, Ended> {
        let for_good = |error: anyhow::Error| Ended::ForGood(error.to_string());
        let mut address = self.address().map_err(for_good)?;
        let parameters = self.parameters.iter().map(|(name, value)| (*name, value.as_str()));
        let parameters: Vec<_> = parameters.chain(from.map(|from| ("from", from))).collect();
        if !parameters.is_empty() {
            address.query_pairs_mut().extend_pairs(parameters);
        }
        let mut request = address.as_str().into_client_request().map_err(|e| for_good(e.into()))?;
        if let Some(login) = &self.login {
            request
                .headers_mut()
                .insert(header::AUTHORIZATION, basic(login).map_err(for_good)?);
        }
        let connector = self.trust.connector(&address).map_err(for_good)?;
        let connect = tokio_tungstenite::connect_async_tls_with_config(request, None, false, Some(connector));
        match tokio::time::timeout(limits::STREAM_CONNECT_TIME, connect).await {
            Ok(Ok((inner, answer))) => {
                let begin = answer.headers().get(BEGIN).and_then(|cursor| cursor.to_str().ok());
                let begin = begin.map(str::to_owned);
                Ok(Socket { inner, begin })
            }
            Ok(Err(error)) => Err(not_connected(&error, Caller::of(self.login.as_ref()))),
            Err(_) => Err(Ended::ForNow(format!(
                "no answer within {} s",
                limits::STREAM_CONNECT_TIME.as_secs()
            ))),
        }
    }
}

impl Socket {
    /// The next event, as the text that came.
    pub async fn next(&mut self) -> Result<String, Ended> {
        loop {
            let message = match tokio::time::timeout(limits::STREAM_SILENCE, self.inner.next()).await {
                Err(_) => {
                    return Err(Ended::ForNow(format!(
                        "nothing heard for {} s",
                        limits::STREAM_SILENCE.as_secs()
                    )));
                }
                Ok(None) => return Err(Ended::ForNow("the connection ended".to_owned())),
                Ok(Some(Err(error))) => return Err(Ended::ForNow(error.to_string())),
                Ok(Some(Ok(message))) => message,
            };
            match message {
                Message::Text(text) => return Ok(text.as_str().to_owned()),
                Message::Close(frame) => return Err(closed(frame.as_ref())),
                // Pings are answered by the library.
                Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Gives a group the receipt for what was read, before the member goes: answers its Ping if that is what comes
    /// next. If it is another event, nothing is answered, because the answer would be for that one too.
    pub async fn receipt(&mut self) {
        let next = tokio::time::timeout(limits::WS_PING_INTERVAL, self.inner.next()).await;
        if let Ok(Some(Ok(Message::Ping(_)))) = next {
            // The library has the answer ready. Without it the group only delivers again.
            if self.inner.flush().await.is_ok() {
                let _ = self.inner.close(None).await;
            }
        }
    }
}

fn basic(login: &Login) -> Result<HeaderValue> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let mut value = HeaderValue::from_str(&format!(
        "Basic {}",
        STANDARD.encode(format!("{}:{}", login.user, login.key))
    ))?;
    value.set_sensitive(true);
    Ok(value)
}

fn not_connected(error: &Error, caller: Caller) -> Ended {
    match error {
        Error::Http(response) => {
            let body = response
                .body()
                .as_deref()
                .map(String::from_utf8_lossy)
                .unwrap_or_default();
            let text = refusal(response.status(), &body, caller);
            match response.status() {
                StatusCode::GONE => match oldest(&body) {
                    Some(oldest) => Ended::Gone { reason: text, oldest },
                    None => Ended::ForGood(text),
                },
                status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => Ended::ForNow(text),
                _ => Ended::ForGood(text),
            }
        }
        error if is_distrust(error) => Ended::ForGood(format!("no connection: {error}{TRUST_IT}")),
        Error::Io(_) | Error::Protocol(_) | Error::ConnectionClosed | Error::AlreadyClosed => {
            Ended::ForNow(error.to_string())
        }
        _ => Ended::ForGood(error.to_string()),
    }
}

/// The cursor in the answer 410.
fn oldest(body: &str) -> Option<String> {
    let body: serde_json::Value = serde_json::from_str(body).ok()?;
    Some(body.get("cursor")?.as_str()?.to_owned())
}

/// 1000 is the end of what was asked for; 1008 (the right ended) and 1002 are meant; everything else is the server's or the network's trouble.
fn closed(frame: Option<&CloseFrame>) -> Ended {
    let Some(frame) = frame else {
        return Ended::ForNow("closed without a reason".to_owned());
    };
    let text = match frame.reason.as_str() {
        "" => format!("closed with code {}", u16::from(frame.code)),
        reason => format!("closed: {reason} ({})", u16::from(frame.code)),
    };
    match frame.code {
        CloseCode::Normal => Ended::Complete,
        CloseCode::Policy | CloseCode::Protocol => Ended::ForGood(text),
        _ => Ended::ForNow(text),
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForGood(reason) | Self::ForNow(reason) | Self::Gone { reason, .. } => f.write_str(reason),
            Self::Complete => f.write_str("it is complete"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_stream() {
        let source = Source {
            url: Url::parse("https://host:1").unwrap(),
            application: "app".to_owned(),
            channel: Some("a/b".to_owned()),
            login: None,
            trust: Trust::default(),
            parameters: Vec::new(),
        };
        assert_eq!(source.address().unwrap().as_str(), "wss://host:1/app/a%2Fb");
    }

    #[test]
    fn what_a_close_code_means() {
        let ended = |code| {
            closed(Some(&CloseFrame {
                code,
                reason: "why".into(),
            }))
        };
        assert!(matches!(ended(CloseCode::Policy), Ended::ForGood(text) if text == "closed: why (1008)"));
        assert!(matches!(ended(CloseCode::Away), Ended::ForNow(_)));
        assert!(matches!(ended(CloseCode::Normal), Ended::Complete));
        assert!(matches!(closed(None), Ended::ForNow(_)));
    }
}
