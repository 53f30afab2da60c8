//! CloudEvents 1.0: the attributes, the three types, binary mode (in the log) and structured mode (on the wire).
//!
//! | file | idea |
//! | --- | --- |
//! | `event.rs` | [`Event`]: attributes, extensions, payload |
//! | `device.rs` | [`DeviceEvent`]: what an ingest path knows, made into an [`Event`] (compat/drogue.md 2.2) |
//! | `origin.rs` | [`Origin`]: application, device, sender, and the attributes made of them; connection and registry events (2.3, 2.4) |
//! | `name.rs` | which names applications, devices and channels may have |
//! | `headers.rs` | [`Headers`]: names and values of a record in one shared buffer |
//! | `binary.rs` | binary mode: an event as headers and payload, and back (compat/drogue.md 2.5) |
//! | `structured.rs` | structured mode: an event as one line of JSON (compat/drogue.md 1.9, decision 6) |
//! | `structured/decode.rs` | and back, one event or a batch |
//! | `content_type.rs` | which payloads are JSON or text (compat/drogue.md 1.9, 2.2) |
//! | `attribute.rs` | what CloudEvents allows in a name, a text, a URI |
//! | `time.rs` | RFC 3339 |
//! | `json.rs` | white space out of a JSON text, everything else as it came; `json/`: escaping, scanning |
//!
//! Nothing here does I/O or knows what time it is.

pub mod attribute;
pub mod binary;
pub mod content_type;
pub mod device;
pub mod event;
pub mod headers;
pub mod json;
pub mod name;
pub mod origin;
pub mod structured;
pub mod time;

pub use device::{DeviceEvent, Rejected};
pub use event::{Event, EventError, Value};
pub use headers::{Headers, HeadersBuilder};
pub use origin::{Origin, Party};
