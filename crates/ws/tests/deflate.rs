//! permessage-deflate as a client meets it: the examples of RFC 7692, Autobahn's cases 12 and 13, bombs, and miniz_oxide as the
//! independent other end. The suite itself runs against `examples/echo.rs`.

mod client;

use bytes::{Bytes, BytesMut};
use client::{BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame, raw, receive, receive_by};
use miniz_oxide::{
    deflate::core::{CompressorOxide, TDEFLFlush, TDEFLStatus, compress_to_output, create_comp_flags_from_zip_params},
    inflate::{
        TINFLStatus,
        core::{
            DecompressorOxide, decompress,
            inflate_flags::{TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF},
        },
    },
};
use proptest::prelude::*;
use sockeye_ws::{Connection, Incoming, ProtocolError as E, close_code, deflate::Deflater, frame as server};

const LIMIT: usize = 64 * 1024;
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];
/// FIN and RSV1, RSV1 alone.
const DEFLATED: u8 = 0xC0;
const DEFLATED_BEGIN: u8 = 0x40;

/// Frames of one message, compressed in parts of this size.
fn message(opcode: u8, deflated: &[u8], part: usize) -> Vec<u8> {
    let mut stream = Vec::new();
    let parts = deflated.len().div_ceil(part).max(1);
    for at in 0..parts {
        let bytes = &deflated[at * part..deflated.len().min((at + 1) * part)];
        let fin = u8::from(at + 1 == parts) << 7;
        let first = if at == 0 { DEFLATED_BEGIN | opcode } else { CONTINUATION };
        stream.extend(raw(fin | first, true, bytes));
    }
    stream
}

/// What miniz_oxide makes of a message, without its tail.
fn miniz(message: &[u8], level: i32) -> Vec<u8> {
    let mut state = CompressorOxide::new(create_comp_flags_from_zip_params(level, -15, 0));
    let mut deflated = Vec::new();
    let (status, taken) = compress_to_output(&mut state, message, TDEFLFlush::Sync, |part| {
        deflated.extend_from_slice(part);
        true
    });
    assert_eq!((status, taken), (TDEFLStatus::Okay, message.len()));
    deflated.strip_suffix(&TAIL).expect("a flush").to_vec()
}

/// What miniz_oxide reads in a message.
fn unminiz(deflated: &[u8], length: usize) -> Vec<u8> {
    let mut message = vec![0; length + 1];
    let (status, _, made) = decompress(
        &mut DecompressorOxide::new(),
        &[deflated, &TAIL].concat(),
        &mut message,
        0,
        TINFL_FLAG_HAS_MORE_INPUT | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
    );
    assert_eq!(status, TINFLStatus::NeedsMoreInput);
    message.truncate(made);
    message
}

/// The payload of a frame that the server made, and its first byte.
fn open(frame: &[u8]) -> (u8, &[u8]) {
    let at = match frame[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    (frame[0], &frame[at..])
}

fn text(text: &str) -> Incoming {
    Incoming::Text(text.into())
}

/// Each stream is fed whole and byte by byte (or in some parts, if it is long); the outcome is the same.
#[track_caller]
fn check(case: &str, frames: &[Vec<u8>], expected: &[Incoming], error: Option<E>) {
    let stream = frames.concat();
    let bytes: Vec<usize> = (0..stream.len()).step_by(stream.len() / 1000 + 1).collect();
    for cuts in [&[][..], &bytes] {
        let outcome = receive_by(Connection::new(LIMIT).with_deflate(), &stream, cuts);
        assert_eq!(outcome.error, error, "{case}");
        assert!(outcome.messages == expected, "{case}: {:?}", outcome.messages);
    }
}

const HELLO: &[u8] = &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];

#[test]
fn the_examples_of_the_rfc() {
    for (section, deflated, expected) in [
        ("7.2.3.1", HELLO, "Hello"),
        (
            "7.2.3.3",
            &[0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00],
            "Hello",
        ),
        ("7.2.3.4", &[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00], "Hello"),
        (
            "7.2.3.5",
            &[
                0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00,
            ],
            "Hello",
        ),
        ("7.2.3.6", &[0x00], ""),
    ] {
        for part in [deflated.len(), 3, 1] {
            check(section, &[message(TEXT, deflated, part)], &[text(expected)], None);
        }
    }
    // Section 7.2.3.2: the second message needs the window of the first, which the client agreed not to use.
    check(
        "7.2.3.2",
        &[
            message(TEXT, HELLO, 100),
            message(TEXT, &[0xF2, 0x00, 0x11, 0x00, 0x00], 100),
        ],
        &[text("Hello")],
        Some(E::NotDeflate),
    );
}

#[test]
fn where_the_bit_may_stand() {
    let hello = frame(true, TEXT, b"Hello");
    let plain = || text("Hello");
    check(
        "not every message is compressed (RFC 7692 section 6)",
        &[hello.clone(), message(TEXT, HELLO, 100), hello.clone()],
        &[plain(), plain(), plain()],
        None,
    );
    check(
        "control frames between the parts are not",
        &[
            raw(DEFLATED_BEGIN | TEXT, true, &HELLO[..3]),
            frame(true, PING, b"p"),
            frame(true, CONTINUATION, &HELLO[3..]),
        ],
        &[Incoming::Ping(Bytes::from_static(b"p")), plain()],
        None,
    );
    check(
        "empty parts",
        &[
            raw(DEFLATED_BEGIN | TEXT, true, b""),
            frame(false, CONTINUATION, HELLO),
            frame(true, CONTINUATION, b""),
        ],
        &[plain()],
        None,
    );
    for opcode in [PING, PONG, CLOSE, CONTINUATION, 3, 11] {
        check(
            "of no other frame",
            &[raw(DEFLATED | opcode, true, b"")],
            &[],
            Some(E::ReservedBits),
        );
    }
    check(
        "of no further part",
        &[
            raw(DEFLATED_BEGIN | TEXT, true, &HELLO[..3]),
            raw(DEFLATED | CONTINUATION, true, &HELLO[3..]),
        ],
        &[],
        Some(E::ReservedBits),
    );
    for bits in [0x10, 0x20, 0x50, 0x60, 0x70] {
        check(
            "the other bits",
            &[raw(0x80 | bits | TEXT, true, HELLO)],
            &[],
            Some(E::ReservedBits),
        );
    }
    let without = receive(LIMIT, &message(TEXT, HELLO, 100), &[]);
    assert_eq!(without.error, Some(E::ReservedBits), "nothing was agreed on");
}

#[test]
fn what_cannot_be_inflated() {
    assert_eq!(E::NotDeflate.close_code(), close_code::INVALID_DATA);
    for (case, deflated) in [
        ("nothing: an empty message has one byte", &[][..]),
        ("a block of the reserved type", &[0x06, 0x00]),
        (
            "a stored block whose lengths differ",
            &[0x00, 0x05, 0x00, 0xFF, 0xFF, 0x48],
        ),
        (
            "a stored block that is not whole",
            &[0x00, 0xFF, 0x00, 0x00, 0xFF, 0x48],
        ),
        ("a distance before the beginning", &[0xF2, 0x00, 0x11, 0x00, 0x00]),
        ("no end of the block", &HELLO[..4]),
        ("no end of the message", &HELLO[..6]),
        (
            "a last block without what has to follow",
            &[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00],
        ),
        (
            "a tail that was left in",
            &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00, 0x00, 0xFF, 0xFF],
        ),
        (
            "the form of zlib",
            &[
                0x78, 0x9C, 0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x05, 0x8C, 0x01, 0xF5,
            ],
        ),
        ("noise", &[0xFF; 100]),
    ] {
        check(case, &[message(BINARY, deflated, 1000)], &[], Some(E::NotDeflate));
    }
}

#[test]
fn text_is_judged_after_inflating() {
    for wrong in [&[0xCE][..], &[0xCE, 0xBA, 0xED, 0xA0, 0x80], &[0xFF; 500]] {
        let deflated = miniz(wrong, 6);
        check("wrong", &[message(TEXT, &deflated, 1)], &[], Some(E::NotUtf8));
        let data = Incoming::Binary(Bytes::copy_from_slice(wrong));
        check("as bytes", &[message(BINARY, &deflated, 1)], &[data], None);
    }
}

/// Autobahn 12 and 13: many messages of growing length, in parts.
#[test]
fn messages_of_all_lengths_12_and_13() {
    let json: String = (0..)
        .map(|at| format!("{{\"id\":{},\"text\":\"κόσμε {}\"}},", at * 7919 % 1009, at % 10))
        .take(5000)
        .collect();
    for length in [0, 16, 64, 256, 1024, 4096, 8192, 16_384, 32_768, 65_536] {
        let end = json.floor_char_boundary(length);
        let whole = &json[..end];
        for level in [0, 1, 6, 9] {
            let frames = vec![message(TEXT, &miniz(whole.as_bytes(), level), 256); 3];
            let case = format!("12 and 13: {length} bytes, level {level}");
            check(&case, &frames, &[text(whole), text(whole), text(whole)], None);
        }
    }
}

#[test]
fn a_bomb_costs_no_more_than_the_limit() {
    // Within the limit to the byte, and one byte beyond it.
    let exact = vec![0; LIMIT];
    let deflated = miniz(&exact, 9);
    assert!(deflated.len() < 200);
    check(
        "the limit",
        &[message(BINARY, &deflated, 1000)],
        &[Incoming::Binary(exact.into())],
        None,
    );
    let deflated = miniz(&vec![0; LIMIT + 1], 9);
    check(
        "one byte more",
        &[message(BINARY, &deflated, 1000)],
        &[],
        Some(E::TooLarge(LIMIT)),
    );
    let bomb = miniz(&vec![b'0'; 60_000_000], 9);
    assert!(bomb.len() < LIMIT);
    check(
        "a bomb",
        &[message(TEXT, &bomb, 100_000)],
        &[],
        Some(E::TooLarge(LIMIT)),
    );
    // What cannot fit is refused when it is announced.
    let announced = raw(DEFLATED | BINARY, true, &vec![0; 2 * LIMIT])[..14].to_vec();
    check("announced", &[announced], &[], Some(E::TooLarge(LIMIT)));
    // Nothing comes of these blocks, however many there are.
    let empty = [0, 0, 0, 0xFF, 0xFF].repeat(100_000);
    check(
        "empty blocks",
        &[message(BINARY, &empty, 1000)],
        &[],
        Some(E::TooLarge(LIMIT)),
    );
}

/// Bytes that no code makes shorter: half of them have nine bits in the fixed codes.
#[test]
fn what_does_not_become_smaller_is_not_refused_for_it() {
    let mut state = 1_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let noise: Vec<u8> = noise.take(LIMIT).collect();
    for level in [0, 1, 6] {
        let deflated = miniz(&noise, level);
        assert!(deflated.len() > LIMIT, "{}", deflated.len());
        check(
            "noise",
            &[message(BINARY, &deflated, LIMIT)],
            &[Incoming::Binary(noise.clone().into())],
            None,
        );
    }
}

#[test]
fn an_idle_connection_holds_nothing() {
    let mut connection = Connection::new(LIMIT).with_deflate();
    let mut input = BytesMut::from(&message(TEXT, HELLO, 3)[..]);
    assert_eq!(connection.receive(&mut input), Ok(Some(text("Hello"))));
    assert_eq!((connection.held(), input.len()), (0, 0));
}

/// Payloads as they come: text with repetitions, and bytes.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let words =
        prop::collection::vec("[a-e]{1,4}|\"temp\":|\\{|\\}|ä", 0..400).prop_map(|words| words.concat().into_bytes());
    let large = (any::<u8>(), 0_usize..150_000).prop_map(|(byte, length)| vec![byte; length]);
    prop_oneof![4 => words, 2 => prop::collection::vec(any::<u8>(), 0..3000), 1 => large]
}

proptest! {
    /// What miniz_oxide compresses is understood, in any pieces.
    #[test]
    fn the_server_reads_what_miniz_writes(
        payload in payload(),
        level in 0..=10,
        part in 1_usize..5000,
        cuts in prop::collection::vec(any::<usize>(), 0..10),
    ) {
        let stream = message(BINARY, &miniz(&payload, level), part);
        let outcome = receive_by(Connection::new(200_000).with_deflate(), &stream, &cuts);
        prop_assert_eq!(outcome.error, None);
        prop_assert_eq!(outcome.messages, vec![Incoming::Binary(payload.into())]);
    }

    /// What the server compresses miniz_oxide understands; one deflater makes the frames of all sockets.
    #[test]
    fn miniz_reads_what_the_server_writes(payloads in prop::collection::vec(payload(), 1..4)) {
        let mut deflater = Deflater::default();
        for payload in payloads {
            let plain = server::binary(&payload);
            let Some(deflated) = deflater.deflated(&plain) else { continue };
            prop_assert!(deflated.len() < plain.len());
            let (first, data) = open(&deflated);
            prop_assert_eq!(first, DEFLATED | BINARY);
            prop_assert_eq!(unminiz(data, payload.len()), &payload[..]);
            let outcome = receive_by(Connection::new(200_000).with_deflate(), &message(BINARY, data, 1000), &[]);
            prop_assert_eq!(outcome.messages, vec![Incoming::Binary(payload.into())]);
        }
    }

    /// The property of the fuzz target: any bytes as compressed data mean the same in any pieces, and stay in bounds.
    #[test]
    fn any_data_mean_the_same_in_any_pieces(
        mut data in payload().prop_map(|payload| miniz(&payload, 6)),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        part in 1_usize..300,
        cuts in prop::collection::vec(any::<usize>(), 0..10),
    ) {
        for (at, byte) in damage {
            let at = at.index(data.len());
            data[at] = byte;
        }
        let limit = 4096;
        let connection = || Connection::new(limit).with_deflate();
        let whole = receive_by(connection(), &message(BINARY, &data, usize::MAX), &[]);
        let parts = receive_by(connection(), &message(BINARY, &data, part), &cuts);
        prop_assert_eq!(&parts, &whole);
        match (&whole.messages[..], whole.error) {
            ([Incoming::Binary(message)], None) => prop_assert!(message.len() <= limit),
            ([], Some(E::NotDeflate | E::TooLarge(_))) => {}
            other => prop_assert!(false, "{other:?}"),
        }
    }
}
