//! What the server cases 1 to 7, 9 and 10 of the Autobahn test suite ask, as a table. The suite itself runs against
//! `examples/echo.rs`.

mod client;

use client::{BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame, raw, receive};
use sockeye_ws::{CloseFrame, Incoming, ProtocolError as E};

const LIMIT: usize = 16 * 1024 * 1024;

/// Each stream is fed whole, byte by byte, and in halves; the outcome is the same.
#[track_caller]
fn check(case: &str, frames: &[Vec<u8>], expected: &[Incoming], error: Option<E>) {
    let stream = frames.concat();
    let bytes: Vec<usize> = if stream.len() < 10_000 {
        (0..stream.len()).collect()
    } else {
        Vec::new()
    };
    for cuts in [&[][..], &[stream.len() / 2], &bytes] {
        let outcome = receive(LIMIT, &stream, cuts);
        assert_eq!(outcome.error, error, "case {case}");
        assert!(
            outcome.messages == expected,
            "case {case}: {} messages",
            outcome.messages.len()
        );
    }
}

fn text(text: &str) -> Incoming {
    Incoming::Text(text.into())
}

fn binary(data: &[u8]) -> Incoming {
    Incoming::Binary(data.to_vec().into())
}

fn ping(data: &[u8]) -> Incoming {
    Incoming::Ping(data.to_vec().into())
}

#[test]
fn framing_1() {
    for (case, length) in [(1, 0), (2, 125), (3, 126), (4, 127), (5, 128), (6, 65_535), (7, 65_536)] {
        let payload = "*".repeat(length);
        check(
            &format!("1.1.{case}"),
            &[frame(true, TEXT, payload.as_bytes())],
            &[text(&payload)],
            None,
        );
        let payload = vec![0xFE; length];
        check(
            &format!("1.2.{case}"),
            &[frame(true, BINARY, &payload)],
            &[binary(&payload)],
            None,
        );
    }
}

#[test]
fn pings_and_pongs_2() {
    check("2.1", &[frame(true, PING, b"")], &[ping(b"")], None);
    check(
        "2.3",
        &[frame(true, PING, &[0, 0xFF, 0xFE])],
        &[ping(&[0, 0xFF, 0xFE])],
        None,
    );
    check("2.4", &[frame(true, PING, &[0xFE; 125])], &[ping(&[0xFE; 125])], None);
    check("2.5", &[frame(true, PING, &[0xFE; 126])], &[], Some(E::LongControl));
    check(
        "2.7",
        &[frame(true, PONG, b"")],
        &[Incoming::Pong(Vec::new().into())],
        None,
    );
    check("2.10", &vec![frame(true, PING, b"p"); 10], &vec![ping(b"p"); 10], None);
}

#[test]
fn reserved_bits_3() {
    for bits in 1..8_u8 {
        check(
            &format!("3.{bits}"),
            &[raw(0x81 | bits << 4, true, b"x")],
            &[],
            Some(E::ReservedBits),
        );
    }
    check(
        "3.2",
        &[frame(true, TEXT, b"a"), raw(0xA1, true, b"x")],
        &[text("a")],
        Some(E::ReservedBits),
    );
}

#[test]
fn opcodes_4() {
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        check(
            &format!("4, opcode {opcode}"),
            &[frame(true, opcode, b"")],
            &[],
            Some(E::UnknownOpcode(opcode)),
        );
    }
}

#[test]
fn fragmentation_5() {
    check(
        "5.1",
        &[frame(false, PING, b"a"), frame(true, CONTINUATION, b"b")],
        &[],
        Some(E::FragmentedControl),
    );
    check("5.2", &[frame(false, PONG, b"a")], &[], Some(E::FragmentedControl));
    check(
        "5.3",
        &[frame(false, TEXT, b"a"), frame(true, CONTINUATION, b"b")],
        &[text("ab")],
        None,
    );
    let between = [
        frame(false, TEXT, b"a"),
        frame(true, PING, b"p"),
        frame(true, CONTINUATION, b"b"),
    ];
    check("5.6", &between, &[ping(b"p"), text("ab")], None);
    check(
        "5.9",
        &[frame(true, CONTINUATION, b"a")],
        &[],
        Some(E::NothingToContinue),
    );
    check(
        "5.12",
        &[frame(false, CONTINUATION, b"a")],
        &[],
        Some(E::NothingToContinue),
    );
    let twice = [
        frame(false, TEXT, b"a"),
        frame(true, CONTINUATION, b"b"),
        frame(false, CONTINUATION, b"c"),
    ];
    check("5.15", &twice, &[text("ab")], Some(E::NothingToContinue));
    check(
        "5.18",
        &[frame(false, TEXT, b"a"), frame(true, TEXT, b"b")],
        &[],
        Some(E::MessageInMessage),
    );
    let many = [
        frame(false, TEXT, b"a"),
        frame(false, CONTINUATION, b"b"),
        frame(true, PING, b"1"),
        frame(false, CONTINUATION, b"c"),
        frame(true, PING, b"2"),
        frame(true, CONTINUATION, b"d"),
    ];
    check("5.19", &many, &[ping(b"1"), ping(b"2"), text("abcd")], None);
}

#[test]
fn utf8_6() {
    let greek = "Hello-µ@ßöäüàá-UTF-8!!";
    check("6.2.1", &[frame(true, TEXT, greek.as_bytes())], &[text(greek)], None);
    let bytes: Vec<_> = greek
        .bytes()
        .enumerate()
        .map(|(at, byte)| {
            frame(
                at + 1 == greek.len(),
                if at == 0 { TEXT } else { CONTINUATION },
                &[byte],
            )
        })
        .collect();
    check("6.2.3", &bytes, &[text(greek)], None);
    let wrong = [0xCE, 0xBA, 0xE1, 0xBD, 0xB9, 0xED, 0xA0, 0x80, 0x65];
    check("6.3.1", &[frame(true, TEXT, &wrong)], &[], Some(E::NotUtf8));
    // Found as soon as it has come: the message has no end yet (6.4), nor has the frame (6.4.3).
    check(
        "6.4.1",
        &[frame(false, TEXT, &[0xCE, 0xBA, 0xF4, 0x90])],
        &[],
        Some(E::NotUtf8),
    );
    let begun = &frame(true, TEXT, &[0xCE, 0xBA, 0xF4, 0x90, 0x80, 0x80, 0x65])[..10];
    check("6.4.3", &[begun.to_vec()], &[], Some(E::NotUtf8));
    check("6.6.1", &[frame(true, TEXT, &[0xCE])], &[], Some(E::NotUtf8));
    for whole in [
        "κόσμε",
        "\0",
        "\u{80}",
        "\u{7FF}",
        "\u{FFFF}",
        "\u{10FFFF}",
        "\u{D7FF}\u{E000}",
    ] {
        check(
            "6.5 to 6.9, 6.22, 6.23",
            &[frame(true, TEXT, whole.as_bytes())],
            &[text(whole)],
            None,
        );
    }
    for wrong in [
        &[0x80][..],
        &[0xBF, 0x80],
        &[0xFE],
        &[0xC0, 0xAF],
        &[0xE0, 0x80, 0xAF],
        &[0xF0, 0x80, 0x80, 0xAF],
        &[0xF8, 0x88, 0x80, 0x80, 0x80],
        &[0xED, 0xA0, 0x80],
        &[0xF4, 0x90, 0x80, 0x80],
    ] {
        check("6.10 to 6.21", &[frame(true, TEXT, wrong)], &[], Some(E::NotUtf8));
    }
}

#[test]
fn closing_7() {
    let close = |code: u16, reason: &[u8]| frame(true, CLOSE, &[&code.to_be_bytes()[..], reason].concat());
    let closed = |code, reason: &str| {
        Incoming::Close(Some(CloseFrame {
            code,
            reason: reason.into(),
        }))
    };
    check(
        "7.1.2",
        &[close(1000, b""), close(1000, b"")],
        &[closed(1000, "")],
        None,
    );
    check(
        "7.1.3",
        &[close(1000, b""), frame(true, PING, b"")],
        &[closed(1000, "")],
        None,
    );
    check("7.3.1", &[frame(true, CLOSE, b"")], &[Incoming::Close(None)], None);
    check("7.3.2", &[frame(true, CLOSE, b"a")], &[], Some(E::CloseOfOneByte));
    check(
        "7.3.4",
        &[close(1000, b"Hello World!")],
        &[closed(1000, "Hello World!")],
        None,
    );
    let longest = "*".repeat(123);
    check(
        "7.3.5",
        &[close(1000, longest.as_bytes())],
        &[closed(1000, &longest)],
        None,
    );
    check(
        "7.3.6",
        &[close(1000, "*".repeat(124).as_bytes())],
        &[],
        Some(E::LongControl),
    );
    check(
        "7.5.1",
        &[close(1000, &[0xCE, 0xBA, 0xF4, 0x90])],
        &[],
        Some(E::NotUtf8),
    );
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
    ] {
        check("7.7", &[close(code, b"")], &[closed(code, "")], None);
    }
    for code in [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535] {
        check("7.9, 7.13", &[close(code, b"")], &[], Some(E::CloseCode(code)));
    }
}

#[test]
fn large_messages_9_and_automatic_fragmentation_10() {
    for size in [64 * 1024, 1024 * 1024, LIMIT] {
        let payload = "*".repeat(size);
        check("9.1", &[frame(true, TEXT, payload.as_bytes())], &[text(&payload)], None);
        let parts: Vec<_> = payload
            .as_bytes()
            .chunks(64 * 1024)
            .enumerate()
            .map(|(at, part)| {
                frame(
                    (at + 1) * 64 * 1024 >= size,
                    if at == 0 { BINARY } else { CONTINUATION },
                    part,
                )
            })
            .collect();
        check("9.4, 10.1", &parts, &[binary(payload.as_bytes())], None);
    }
    let too_large = "*".repeat(LIMIT + 1);
    check(
        "beyond the limit",
        &[frame(true, TEXT, too_large.as_bytes())],
        &[],
        Some(E::TooLarge(LIMIT)),
    );
}

/// Not in the suite, whose client always masks (RFC 6455 section 5.1).
#[test]
fn unmasked_frames() {
    check("unmasked", &[raw(0x81, false, b"x")], &[], Some(E::Unmasked));
    let long_form = vec![0x81, 0x80 | 0x7E, 0, 1, 0, 0, 0, 0, b'x'];
    check("a length in a longer form", &[long_form], &[], Some(E::Length));
}
