//! The floor of reading a registry: a hyper server that reads one row of its file and answers with what is in it.

use std::rc::Rc;

use anyhow::Result;
use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rusqlite::{Connection, OpenFlags};
use tokio::{net::TcpListener, task::LocalSet};

// ----------------------------------------------------------------------------------------------

/// Serves on a free port, whose address is the first line of output. What stands last in a path is the name of a device.
#[tokio::main(flavor = "current_thread")]
pub async fn serve(file: &str) -> Result<()> {
    let connection = Rc::new(Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?);
    LocalSet::new().run_until(accept(connection)).await
}

async fn accept(connection: Rc<Connection>) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let connection = Rc::clone(&connection);
        tokio::task::spawn_local(async move {
            let service = service_fn(|request| std::future::ready(answer(&connection, &request)));
            // A connection that breaks is the load's to notice.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn answer(connection: &Connection, request: &Request<Incoming>) -> rusqlite::Result<Response<Full<Bytes>>> {
    let name = request.uri().path().rsplit('/').next().unwrap_or_default();
    let mut statement = connection.prepare_cached("SELECT * FROM devices WHERE application = 1 AND name = ?1")?;
    let columns = statement.column_count();
    let text = statement.query_row([name], |row| {
        let mut text = Vec::new();
        for column in 0..columns {
            if let Ok(column) = row.get_ref(column)?.as_bytes() {
                text.extend_from_slice(column);
            }
        }
        Ok(text)
    })?;
    Ok(Response::new(Full::new(text.into())))
}
