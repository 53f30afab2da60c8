//! tungstenite, an independent implementation, as the client of a small echo loop around [`Connection`].

use bytes::BytesMut;
use futures_util::{SinkExt as _, StreamExt as _};
use sockeye_ws::{Connection, Incoming, frame};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{
            CloseFrame, Role,
            frame::{
                Frame,
                coding::{CloseCode, Data, OpCode},
            },
        },
    },
};

const LIMIT: usize = 1024 * 1024;

/// Echoes until the connection is over.
async fn echo(mut io: DuplexStream) {
    let mut connection = Connection::new(LIMIT);
    let mut input = BytesMut::new();
    while !connection.is_over() {
        let answer = match connection.receive(&mut input) {
            Ok(Some(Incoming::Text(text))) => Some(frame::text(&text)),
            Ok(Some(Incoming::Binary(data))) => Some(frame::binary(&data)),
            Ok(Some(Incoming::Ping(data))) => Some(frame::pong(&data)),
            Ok(Some(Incoming::Pong(_))) => None,
            Ok(Some(Incoming::Close(close))) => connection.close_back(close.as_ref()),
            Err(error) => connection.close(error.close_code(), &error.to_string()),
            Ok(None) => {
                if io.read_buf(&mut input).await.unwrap_or(0) == 0 {
                    return;
                }
                None
            }
        };
        if let Some(answer) = answer {
            io.write_all(&answer).await.expect("the client reads");
        }
    }
}

async fn client() -> WebSocketStream<DuplexStream> {
    let (ours, theirs) = tokio::io::duplex(4096);
    tokio::spawn(echo(ours));
    WebSocketStream::from_raw_socket(theirs, Role::Client, None).await
}

async fn next(client: &mut WebSocketStream<DuplexStream>) -> Message {
    client.next().await.expect("an answer").expect("a well-formed one")
}

#[tokio::test]
async fn messages_of_all_sizes_come_back() {
    let mut client = client().await;
    for size in [0, 1, 125, 126, 127, 65_535, 65_536, 1_000_000] {
        for message in [Message::text("ä".repeat(size / 2)), Message::binary(vec![7; size])] {
            // The pipe is smaller than a message: it is read while it is written.
            let (mut sink, mut source) = client.split();
            let (sent, back) = tokio::join!(sink.send(message.clone()), source.next());
            sent.unwrap();
            assert_eq!(back.unwrap().unwrap(), message, "{size} bytes");
            client = sink.reunite(source).unwrap();
        }
    }
}

#[tokio::test]
async fn fragments_with_a_ping_between_them() {
    let mut client = client().await;
    let part = |opcode, last, text: &'static str| Message::Frame(Frame::message(text, OpCode::Data(opcode), last));
    client.send(part(Data::Text, false, "one ")).await.unwrap();
    client.send(Message::Ping("p".into())).await.unwrap();
    client.send(part(Data::Continue, true, "two")).await.unwrap();
    assert_eq!(next(&mut client).await, Message::Pong("p".into()));
    assert_eq!(next(&mut client).await, Message::text("one two"));
}

#[tokio::test]
async fn a_close_comes_back() {
    let mut client = client().await;
    let close = CloseFrame {
        code: CloseCode::Library(4001),
        reason: "enough".into(),
    };
    client.close(Some(close.clone())).await.unwrap();
    assert_eq!(next(&mut client).await, Message::Close(Some(close)));
    assert!(client.next().await.is_none());
}

#[tokio::test]
async fn a_fault_is_answered_by_a_close_that_names_it() {
    for (data, code, reason) in [
        (
            Frame::message("x", OpCode::Data(Data::Continue), true),
            CloseCode::Protocol,
            "continuation",
        ),
        (
            Frame::message(vec![0xFF], OpCode::Data(Data::Text), true),
            CloseCode::Invalid,
            "UTF-8",
        ),
        (
            Frame::message("x", OpCode::Data(Data::Reserved(3)), true),
            CloseCode::Protocol,
            "opcode",
        ),
    ] {
        let mut client = client().await;
        client.send(Message::Frame(data)).await.unwrap();
        let Message::Close(Some(close)) = next(&mut client).await else {
            panic!("no close")
        };
        assert_eq!(close.code, code);
        assert!(close.reason.contains(reason), "{}", close.reason);
    }
}
