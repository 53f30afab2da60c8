//! `LISTEN`: a connection of its own on which PostgreSQL says that there is something to read. It only wakes.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use sockeye_limits as limits;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_postgres::{AsyncMessage, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::changes::CHANNEL;
use crate::failure::Failure;

// ----------------------------------------------------------------------------------------------

/// Wakes whoever reads changes, for ever: when there is one, and after each time when nobody listened.
pub(crate) async fn listen(config: Config, tls: MakeRustlsConnect, woken: Arc<Notify>) {
    let mut said = false;
    loop {
        let ended = session(&config, &tls, &woken, &mut said).await;
        let why = ended.err().unwrap_or(Failure::Closed);
        if !said {
            tracing::warn!(%why, "PostgreSQL tells no changes; they are looked for, and it is tried again");
            said = true;
        }
        tokio::time::sleep(limits::POSTGRES_AGAIN).await;
    }
}

/// One connection, until it ends.
async fn session(config: &Config, tls: &MakeRustlsConnect, woken: &Notify, said: &mut bool) -> Result<(), Failure> {
    let connect = timeout(limits::POSTGRES_ANSWER, config.connect(tls.clone()));
    let (client, mut connection) = connect.await.map_err(|_elapsed| Failure::Silent)??;
    let mut messages = pin!(async {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(_) = message? {
                woken.notify_one();
            }
        }
        Err::<(), Failure>(Failure::Closed)
    });
    let ask = client.batch_execute(CHANNEL.listen);
    tokio::select! {
        ended = &mut messages => return ended,
        asked = timeout(limits::POSTGRES_ANSWER, ask) => asked.map_err(|_elapsed| Failure::Silent)??,
    }
    if std::mem::take(said) {
        tracing::info!("PostgreSQL tells changes again");
    }
    woken.notify_one();
    messages.await
}
