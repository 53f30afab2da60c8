//! A connection that was HTTP until its 101.

use std::sync::Arc;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::delivery::{Begin, Delivery};
use crate::end::End;
use crate::link::Opaque;
use crate::session::Session;
use crate::transport::Transport;

impl Delivery {
    /// [`Delivery::serve`] for a connection once its 101 is out.
    ///
    /// # Errors
    /// The client went before.
    pub async fn serve_upgraded(
        self: &Arc<Self>,
        upgrade: OnUpgrade,
        begin: Begin,
        session: impl Session,
        deflate: bool,
    ) -> Result<End, hyper::Error> {
        // What is left of HTTP goes here, so that a socket on which nothing happens owns nothing of it.
        Ok(match upgrade.await?.downcast::<TokioIo<Transport>>() {
            Ok(parts) => {
                let transport = parts.io.into_inner().behind(parts.read_buf);
                self.serve(transport, begin, session, deflate).await
            }
            // Served by another server than ours.
            Err(io) => self.serve(Opaque(TokioIo::new(io)), begin, session, deflate).await,
        })
    }
}
