//! Who is calling, and may they (compat/drogue.md 1.3, 3.2, 3.5, 5.1).
//!
//! | file | idea |
//! | --- | --- |
//! | `secret.rs` | [`Secret`]: a password or key that does not show itself |
//! | `credentials.rs` | [`Credentials`] of users, and the `Authorization` header |
//! | `key.rs` | access keys: making, checking, hashing |
//! | `access.rs` | [`Access`]: users, and what they may do with an application |
//! | `login.rs` | [`DeviceLogin`]: how a device says who it is |
//! | `device.rs` | [`Devices`]: whether it is that device, and whom it may publish as |
//! | `directory.rs` | applications and devices as remembered, current with every change |
//! | `password.rs` | passwords of devices; slow hashes in threads of their own |
//!
//! OIDC has its place in [`Access::authenticate`]: a bearer token that is no access key is a token of a provider.

mod access;
mod credentials;
mod device;
mod directory;
pub mod key;
mod login;
mod password;
mod secret;

pub use access::{Access, AuthenticateError, AuthorizeError, Caller, Permission};
pub use credentials::{Credentials, CredentialsError};
pub use device::{DeviceError, Devices, Identity, Publisher};
pub use login::{DeviceLogin, LoginError};
pub use password::{PasswordError, check_password};
pub use secret::Secret;
