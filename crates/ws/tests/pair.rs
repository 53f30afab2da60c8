//! The simulated pair: whatever a client sends, in whatever pieces it comes, the server understands the same.

mod client;

use bytes::{Bytes, BytesMut};
use client::{BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame, receive};
use proptest::prelude::*;
use sockeye_ws::{CloseFrame, Connection, Incoming, ProtocolError, close_code, frame as server};

const LIMIT: usize = 4096;

/// What a client says.
#[derive(Clone, Debug)]
enum Said {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

fn said() -> impl Strategy<Value = Said> {
    let control = prop::collection::vec(any::<u8>(), 0..=125);
    prop_oneof![
        ".{0,300}".prop_map(Said::Text),
        prop::collection::vec(any::<u8>(), 0..1000).prop_map(Said::Binary),
        control.clone().prop_map(Said::Ping),
        control.prop_map(Said::Pong),
    ]
}

/// As frames: messages in parts of this size, with a Ping between some of the parts.
fn stream(all: &[Said], part: usize) -> (Vec<u8>, Vec<Incoming>) {
    let (mut stream, mut expected) = (Vec::new(), Vec::new());
    for one in all {
        let (opcode, payload, heard) = match one {
            Said::Text(text) => (TEXT, text.as_bytes(), Incoming::Text(text.as_str().into())),
            Said::Binary(data) => (BINARY, &data[..], Incoming::Binary(data.clone().into())),
            Said::Ping(data) => (PING, &data[..], Incoming::Ping(data.clone().into())),
            Said::Pong(data) => (PONG, &data[..], Incoming::Pong(data.clone().into())),
        };
        let control = matches!(one, Said::Ping(_) | Said::Pong(_));
        let size = if control { payload.len().max(1) } else { part };
        let parts: Vec<&[u8]> = if payload.is_empty() {
            vec![payload]
        } else {
            payload.chunks(size).collect()
        };
        for (at, bytes) in parts.iter().enumerate() {
            let last = at + 1 == parts.len();
            stream.extend(frame(last, if at == 0 { opcode } else { CONTINUATION }, bytes));
            if !last && at % 3 == 0 {
                stream.extend(frame(true, PING, &[at as u8]));
                expected.push(Incoming::Ping(Bytes::copy_from_slice(&[at as u8])));
            }
        }
        expected.push(heard);
    }
    (stream, expected)
}

proptest! {
    #[test]
    fn what_a_client_says_is_what_the_server_hears(
        all in prop::collection::vec(said(), 0..8),
        part in 1_usize..200,
        cuts in prop::collection::vec(any::<usize>(), 0..40),
    ) {
        let (stream, expected) = stream(&all, part);
        let outcome = receive(LIMIT, &stream, &cuts);
        prop_assert_eq!(outcome.error, None);
        prop_assert_eq!(outcome.messages, expected);
    }

    /// The property of the fuzz target: no panic, and the pieces make no difference.
    #[test]
    fn any_bytes_mean_the_same_in_any_pieces(
        stream: Vec<u8>,
        cuts in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        prop_assert_eq!(receive(LIMIT, &stream, &cuts), receive(LIMIT, &stream, &[]));
    }

    /// As above, for bytes that are nearly right.
    #[test]
    fn damaged_frames_mean_the_same_in_any_pieces(
        all in prop::collection::vec(said(), 1..5),
        at: prop::sample::Index,
        byte: u8,
        cuts in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        let (mut stream, _) = stream(&all, 50);
        let at = at.index(stream.len());
        stream[at] = byte;
        prop_assert_eq!(receive(LIMIT, &stream, &cuts), receive(LIMIT, &stream, &[]));
    }
}

#[test]
fn an_announced_length_is_not_held() {
    let huge = [&[0x82, 0xFF][..], &(1_u64 << 62).to_be_bytes(), &[0; 4]].concat();
    assert_eq!(receive(LIMIT, &huge, &[]).error, Some(ProtocolError::TooLarge(LIMIT)));
    let impossible = [&[0x82, 0xFF][..], &(1_u64 << 63).to_be_bytes(), &[0; 4]].concat();
    assert_eq!(receive(LIMIT, &impossible, &[]).error, Some(ProtocolError::Length));
}

#[test]
fn fragments_of_one_byte_are_bounded_by_the_message() {
    let mut connection = Connection::new(LIMIT);
    // Far larger than what comes: none of it is kept for a message that waits.
    let mut input = BytesMut::with_capacity(16 * LIMIT);
    let mut error = None;
    for number in 0.. {
        input.extend_from_slice(&frame(false, if number == 0 { BINARY } else { CONTINUATION }, b"x"));
        let held = connection.held();
        assert!(held <= 2 * number + 64, "{held} bytes held of {number}");
        if let Err(found) = connection.receive(&mut input) {
            error = Some((number, found));
            break;
        }
    }
    assert_eq!(error, Some((LIMIT, ProtocolError::TooLarge(LIMIT))));
    assert_eq!(connection.held(), 0, "nothing is held after an error");
}

#[test]
fn an_idle_connection_holds_nothing() {
    assert!(size_of::<Connection>() <= 64, "{}", size_of::<Connection>());
    let mut connection = Connection::new(LIMIT);
    let mut input = BytesMut::from(&frame(true, TEXT, b"hello")[..]);
    assert!(connection.receive(&mut input).unwrap().is_some());
    assert_eq!((connection.held(), input.len()), (0, 0));
}

#[test]
fn both_sides_take_leave() {
    let said = CloseFrame {
        code: 1000,
        reason: "bye".into(),
    };
    let bytes = frame(true, CLOSE, &[&1000_u16.to_be_bytes()[..], b"bye"].concat());

    let mut theirs = Connection::new(LIMIT);
    let mut input = BytesMut::from(&[bytes.clone(), frame(true, TEXT, b"too late")].concat()[..]);
    assert_eq!(
        theirs.receive(&mut input),
        Ok(Some(Incoming::Close(Some(said.clone()))))
    );
    assert_eq!(theirs.receive(&mut input), Ok(None), "what follows a Close is dropped");
    assert_eq!(theirs.close_back(Some(&said)), Some(server::close(1000, "bye")));
    assert_eq!(theirs.close(1001, ""), None, "a Close is sent once");
    assert!(theirs.is_over());

    let mut ours = Connection::new(LIMIT);
    assert_eq!(
        ours.close(close_code::GOING_AWAY, "stop"),
        Some(server::close(1001, "stop"))
    );
    assert!(ours.is_closing() && !ours.is_over());
    let mut input = BytesMut::from(&bytes[..]);
    assert_eq!(ours.receive(&mut input), Ok(Some(Incoming::Close(Some(said.clone())))));
    assert_eq!(ours.close_back(Some(&said)), None);
    assert!(ours.is_over());
}
