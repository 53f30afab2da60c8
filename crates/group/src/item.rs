//! What a group has to know of an event.

use bytestring::ByteString;

/// An event on its way through a group. The group keeps it until its receipt and gives out clones of it, so a clone has to
/// be cheap: a handle, or the bytes of a frame that is shared.
pub trait Item: Clone {
    /// The event's `id`, which `Ack` and `Nack` name.
    fn id(&self) -> &str;

    /// The device whose events stay with one member under [`Balance::Device`](crate::Balance::Device).
    fn device(&self) -> &ByteString;

    /// Bytes it counts for against credit and window.
    fn bytes(&self) -> usize;
}
