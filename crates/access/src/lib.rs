//! Who is calling, and may they (compat/drogue.md 1.3, 3.2, 3.5, 5.1).
//!
//! | file | idea |
//! | --- | --- |
//! | `secret.rs` | [`Secret`]: a password or key that does not show itself |
//! | `credentials.rs` | [`Credentials`] of users, and the `Authorization` header |
//! | `key.rs` | access keys: making, checking, hashing |
//! | `oidc.rs` | [`Oidc`]: tokens of providers |
//! | `access.rs` | [`Access`]: who a user is, by what is shown |
//! | `feed.rs` | what changes in the registry, for those who remember what they have read of it |
//! | `known.rs` | keys, users and applications as remembered, current with every change |
//! | `caller.rs` | [`Caller`], and what callers may do with an application |
//! | `rights.rs` | [`Right`]: of an open stream, and what ends it |
//! | `session.rs` | sessions of Octave: an admission for several sockets |
//! | `ticket.rs` | tickets, and tokens of our own: who comes with one is who fetched it |
//! | `tenant.rs` | [`TenantTokens`]: tokens that name a tenant |
//! | `audit.rs` | lines of the audit log |
//! | `login.rs` | [`DeviceLogin`]: how a device says who it is |
//! | `device.rs` | [`Devices`]: whether it is that device, and whom it may publish as |
//! | `directory.rs` | applications and devices as remembered, current with every change |
//! | `password.rs` | passwords of devices; slow hashes in threads of their own |

mod access;
pub mod audit;
mod caller;
mod credentials;
mod device;
mod directory;
mod feed;
pub mod key;
mod known;
mod login;
pub mod oidc;
mod password;
mod rights;
mod secret;
mod session;
mod tenant;
mod ticket;

#[doc(hidden)]
pub use tracing;

pub use access::{Access, AuthenticateError, AuthorizeError};
pub use caller::{Caller, Permission, Proof};
pub use credentials::{Credentials, CredentialsError};
pub use device::{DeviceError, Devices, Identity, Publisher};
pub use login::{DeviceLogin, LoginError};
pub use oidc::{Oidc, ProviderUnavailable, TokenError, is_user_name};
pub use password::{PasswordError, check_password};
pub use rights::{Ended, Right};
pub use secret::Secret;
pub use session::{Admitted, SessionError};
pub use tenant::TenantTokens;
pub use ticket::{Holder, TicketRefused};
