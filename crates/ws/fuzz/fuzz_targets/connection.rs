//! Any bytes, in any pieces, with permessage-deflate or without: no panic, bounded memory, and the pieces make no
//! difference.

#![no_main]

mod pieces;

use libfuzzer_sys::fuzz_target;
use pieces::{LIMIT, pieces, receive};
use sockeye_ws::Connection;

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (stream, sizes) = input;
    let connections: [fn() -> Connection; 2] = [|| Connection::new(LIMIT), || Connection::new(LIMIT).with_deflate()];
    for connection in connections {
        let whole = receive(connection(), &[&stream]);
        assert_eq!(receive(connection(), &pieces(&stream, &sizes)), whole);
    }
});
