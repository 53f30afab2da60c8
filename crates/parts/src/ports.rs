//! Ports for parts that are told where to listen.

use std::net::{Ipv4Addr, TcpListener};

// ----------------------------------------------------------------------------------------------

/// Ports that are free now; another process may be quicker.
pub(crate) fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    // Held together, so that they differ.
    let held = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let mut ports = [0; N];
    for (port, held) in ports.iter_mut().zip(&held) {
        let held = held
            .as_ref()
            .map_err(|error| anyhow::anyhow!("no port is free: {error}"))?;
        *port = held.local_addr()?.port();
    }
    Ok(ports)
}
