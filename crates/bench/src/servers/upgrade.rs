//! The floor of a handshake: a hyper server that makes a WebSocket of every request, and asks nobody.

use anyhow::Result;
use http_body_util::Empty;
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{io::AsyncReadExt as _, net::TcpListener};

/// Serves on a free port, whose address is the first line of output.
#[tokio::main(flavor = "current_thread")]
pub async fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            // A connection that breaks is the load's to notice.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(upgrade))
                .with_upgrades()
                .await;
        });
    }
}

async fn upgrade(mut request: Request<Incoming>) -> hyper::Result<Response<Empty<Bytes>>> {
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(io) = upgraded.await {
            // Until the client goes.
            let _ = TokioIo::new(io).read(&mut [0; 16]).await;
        }
    });
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
    // The answer to the one key that the load uses (the example of RFC 6455 section 1.3).
    let accept = header::HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}
