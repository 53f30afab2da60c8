//! The registry as everything above an engine sees it: applications, devices, users, access keys; and, with it, the positions of
//! groups ([`sockeye_log::GroupPositions`]) and tickets.
//!
//! | file | idea |
//! | --- | --- |
//! | `resource.rs` | [`Application`], [`Device`] and their [`Metadata`]: documents in the shapes of compat/drogue.md 4.1 |
//! | `command.rs` | [`Command`]s to devices, and [`Commands`], which keeps them |
//! | `document.rs` | [`Document`]: the rules of versions, preconditions and finalizers that hold in every engine |
//! | `device.rs` | what the platform reads in a device's document: credentials, aliases, gateways (compat/drogue.md 4.3) |
//! | `key.rs` | [`User`] and [`AccessKey`], with its [`Scope`] |
//! | `selector.rs` | [`Selector`]: which labels a resource is to have |
//! | `session.rs` | [`Session`] and [`Stream`] of Octave, and [`Streams`], which keeps them |
//! | `registry.rs` | [`Registry`], with its errors |
//! | `outbox.rs` | [`DeviceChange`]: what streams are told of devices; [`Outbox`], where it waits for the log |
//! | `remains.rs` | [`Remains`]: what a deleted application leaves in the log, until somebody removes it |
//! | `ticket.rs` | [`Tickets`]: what admits once |
//! | `conformance.rs` | what every engine must pass (feature `conformance`) |

mod command;
mod device;
mod document;
mod key;
mod outbox;
mod registry;
mod remains;
mod resource;
mod selector;
mod session;
mod ticket;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use command::{Command, CommandError, CommandWay, Commands, Taken};
pub use device::{Credential, DeviceSpec, Password, SpecError};
pub use document::{Document, HAS_DEVICES};
pub use key::{AccessKey, PathGrant, Scope, User, UserIdentity};
pub use outbox::{DeviceChange, Outbox, Teller, tell_numbered};
pub use registry::{
    Change, Found, KeyError, Page, Preconditions, ReadError, Registry, Unavailable, Wanted, WriteError,
};
pub use remains::{Remains, RemainsKept, WantedRemains};
pub use resource::{Application, Device, Metadata, Role};
pub use selector::{Selector, SelectorError};
pub use session::{Session, Stream, Streams};
pub use ticket::{Ticket, TicketError, Tickets};
