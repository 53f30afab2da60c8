//! Frames that no library would send: what is against the protocol closes that socket with its code and its reason, and no
//! other.

use sockeye_limits as limits;

use crate::raw::{BINARY, CLOSE, Frame, MASKED, PING, PONG, RawSocket, TEXT, masked, publish};
use crate::support::{APP, Server};

/// First bytes of the parts of a message.
const TEXT_PART: u8 = 0x01;
const PART: u8 = 0x00;
const LAST_PART: u8 = 0x80;

const REFRESH: &[u8] = br#"{"RefreshAccessToken":"x"}"#;

/// What a client sends, and the code and a part of the reason with which it is closed.
type Case = (Vec<u8>, u16, &'static str);

#[test]
fn what_is_against_the_protocol_closes_that_socket_only() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let admin = server.admin();
    let mut bystander = RawSocket::open(&server, APP, &admin);
    let cases = [protocol(), too_large(), not_utf8(), not_the_dialect()].concat();
    for (bytes, code, reason) in &cases {
        let mut socket = RawSocket::open(&server, APP, &admin);
        socket.send(bytes);
        let about = format!("{:x?}", &bytes[..bytes.len().min(20)]);
        let close = socket.answer().unwrap_or_else(|| panic!("no close: {about}"));
        let (said, why) = close.closes();
        assert_eq!(said, *code, "{about}: {why}");
        assert!(why.contains(reason), "{about}: {why}");
        socket.send(&masked(CLOSE, &code.to_be_bytes(), None));
        assert_eq!(socket.frame(), None, "{about}: nothing behind a close");
    }
    assert_eq!(publish(&server, "1").status, 202);
    assert_eq!(bystander.event(), 1, "the others have not noticed");
}

fn protocol() -> Vec<Case> {
    let fragment = masked(TEXT_PART, b"a", None);
    [
        (vec![TEXT, 2, b'{', b'}'], "mask"),
        (masked(0xC1, b"x", None), "reserved bits"),
        (masked(0x83, b"x", None), "opcode 3"),
        (masked(0x8F, b"x", None), "opcode 15"),
        (masked(0x09, b"x", None), "fragmented"),
        (masked(PING, &[b'x'; 126], None), "125 bytes"),
        (masked(LAST_PART, b"x", None), "nothing"),
        (
            [fragment.clone(), masked(TEXT, b"x", None)].concat(),
            "within a fragmented one",
        ),
        (
            vec![TEXT, MASKED + 126, 0, 5, 0, 0, 0, 0, 1, 2, 3, 4, 5],
            "shortest form",
        ),
        (masked(TEXT, b"", Some(1 << 63)), "length"),
        (masked(CLOSE, b"x", None), "one byte"),
        (masked(CLOSE, &1005_u16.to_be_bytes(), None), "1005"),
        (masked(CLOSE, &99_u16.to_be_bytes(), None), "99"),
    ]
    .map(|(bytes, reason)| {
        (
            bytes,
            1002,
            if reason == "nothing" {
                "without a message"
            } else {
                reason
            },
        )
    })
    .to_vec()
}

/// Refused by what is announced: nothing of it need come.
fn too_large() -> Vec<Case> {
    let half = vec![b'x'; limits::WS_INBOUND_MESSAGE / 2];
    let parts = [
        masked(TEXT_PART, &half, None),
        masked(PART, &half, None),
        masked(LAST_PART, b"x", None),
    ];
    [
        masked(TEXT, b"", Some(limits::WS_INBOUND_MESSAGE as u64 + 1)),
        masked(BINARY, b"", Some(1 << 40)),
        masked(TEXT, &vec![b'x'; limits::WS_INBOUND_MESSAGE + 1], None),
        parts.concat(),
    ]
    .map(|bytes| (bytes, 1009, "65536 bytes"))
    .to_vec()
}

fn not_utf8() -> Vec<Case> {
    let close = [&1000_u16.to_be_bytes()[..], b"\xff"].concat();
    [
        masked(TEXT, b"\"\xff\"", None),
        masked(TEXT, b"\xc0\xaf", None),
        masked(TEXT, b"\xed\xa0\x80", None),
        masked(TEXT, b"\xf0\x9f\x90", None),
        [masked(TEXT_PART, b"\xf0\x9f", None), masked(LAST_PART, b"x", None)].concat(),
        // Seen before the message ends.
        masked(TEXT_PART, b"\xff", None),
        masked(CLOSE, &close, None),
    ]
    .map(|bytes| (bytes, 1007, "UTF-8"))
    .to_vec()
}

/// compat/drogue.md 1.7: text and binary alike.
fn not_the_dialect() -> Vec<Case> {
    [TEXT, BINARY]
        .into_iter()
        .flat_map(|kind| {
            [
                (masked(kind, b"", None), 1002, "EOF while parsing"),
                (masked(kind, b"hello", None), 1002, "expected value at line 1"),
                (
                    masked(kind, br#"{"Foo":1}"#, None),
                    1002,
                    "unknown variant `Foo`, expected `RefreshAccessToken`",
                ),
            ]
        })
        .collect()
}

#[test]
fn what_is_unusual_and_right_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let admin = server.admin();
    let (first, second) = REFRESH.split_at(5);
    for (number, bytes) in [
        masked(BINARY, REFRESH, None),
        [masked(TEXT_PART, first, None), masked(LAST_PART, second, None)].concat(),
        // Control frames may come within a message, parts may be empty.
        [
            masked(TEXT_PART, b"", None),
            masked(PING, b"within", None),
            masked(PART, first, None),
            masked(PONG, b"nobody asked", None),
            masked(LAST_PART, second, None),
        ]
        .concat(),
    ]
    .into_iter()
    .enumerate()
    {
        let mut socket = RawSocket::open(&server, APP, &admin);
        socket.send(&bytes);
        socket.send(&masked(PING, b"last", None));
        // Only the last of several Pings need be answered.
        let pong = std::iter::from_fn(|| socket.answer()).find(|frame| frame.payload != b"within");
        let expected = Frame {
            kind: PONG,
            payload: b"last".to_vec(),
        };
        assert_eq!(pong, Some(expected), "message {number}");
        assert_eq!(publish(&server, "1").status, 202);
        assert_eq!(socket.event(), 1, "message {number}: the stream goes on");
        // Byte by byte, and the answer is the same close.
        for byte in masked(CLOSE, &[&1000_u16.to_be_bytes()[..], b"bye"].concat(), None) {
            socket.send(&[byte]);
        }
        assert_eq!(socket.answer().map(|close| close.closes() == (1000, "bye")), Some(true));
        assert_eq!(socket.frame(), None);
    }
}
