//! Any bytes as the data of a compressed message, in any pieces: no panic, bounded memory, and the pieces make no
//! difference. The same bytes as a payload: its compressed frame says what the plain one says. The same bytes as offers.

#![no_main]

mod pieces;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header::SEC_WEBSOCKET_EXTENSIONS};
use libfuzzer_sys::fuzz_target;
use pieces::{LIMIT, pieces, receive};
use sockeye_ws::{
    Connection, Incoming,
    deflate::{Deflater, agree},
    frame,
};

thread_local! {
    static DEFLATER: std::cell::RefCell<Deflater> = std::cell::RefCell::default();
}

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (data, sizes) = input;
    let connection = || Connection::new(LIMIT).with_deflate();

    let stream = masked(0xC2, &data);
    let whole = receive(connection(), &[&stream]);
    assert_eq!(receive(connection(), &pieces(&stream, &sizes)), whole);

    let plain = frame::binary(&data);
    if let Some(deflated) = DEFLATER.with_borrow_mut(|deflater| deflater.deflated(&plain)) {
        assert!(deflated.len() < plain.len());
        let payload = match deflated[1] {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        let (messages, error) = receive(connection(), &[&masked(deflated[0], &deflated[payload..])]);
        if data.len() <= LIMIT {
            assert_eq!(
                (messages, error),
                (vec![Incoming::Binary(Bytes::from(data.clone()))], None)
            );
        }
    }

    if let Ok(value) = HeaderValue::from_bytes(&data) {
        let _ = agree(&HeaderMap::from_iter([(SEC_WEBSOCKET_EXTENSIONS, value)]));
    }
});

/// As a client sends it. The mask is 0: what is masked is not what is tried here.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=0xFFFF => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}
