//! Unmasking of client frames (RFC 6455 section 5.3), by machine words.

/// Unmasks a part of a payload that begins `offset` bytes behind the payload's own beginning.
pub(crate) fn unmask(data: &mut [u8], mask: [u8; 4], offset: usize) {
    let mask: [u8; 4] = std::array::from_fn(|at| mask[(offset + at) % 4]);
    let word = u64::from_ne_bytes(std::array::from_fn(|at| mask[at % 4]));
    let mut words = data.chunks_exact_mut(8);
    for chunk in &mut words {
        let masked = u64::from_ne_bytes(chunk.try_into().expect("a chunk has eight bytes"));
        chunk.copy_from_slice(&(masked ^ word).to_ne_bytes());
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_unmask_as_the_rfc_says(data: Vec<u8>, mask: [u8; 4], cut: prop::sample::Index) {
            let expected: Vec<u8> = data.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]).collect();
            let mut unmasked = data;
            let cut = if unmasked.is_empty() { 0 } else { cut.index(unmasked.len()) };
            let (head, tail) = unmasked.split_at_mut(cut);
            unmask(head, mask, 0);
            unmask(tail, mask, cut);
            prop_assert_eq!(unmasked, expected);
        }
    }
}
