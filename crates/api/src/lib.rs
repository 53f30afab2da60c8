//! The REST API of operators, in the shapes of Drogue Cloud (compat/drogue.md 3.2, 4): applications, devices, members,
//! access keys.
//!
//! | file | idea |
//! | --- | --- |
//! | `applications.rs` | `/api/registry/v1alpha1/apps` |
//! | `devices.rs` | `/api/registry/v1alpha1/apps/{app}/devices` |
//! | `registry_events.rs` | what streams are told of devices, where it is not stored there with the change itself |
//! | `members.rs` | `/api/admin/v1alpha1/apps/{app}/members` |
//! | `transfer.rs` | `/api/admin/v1alpha1/apps/{app}/transfer-ownership`, `accept-ownership` |
//! | `removal.rs` | what deleted applications have left in the log |
//! | `keys.rs` | `/api/tokens/v1alpha1` |
//! | `import.rs` | users of another system, with the hashes of their access keys |
//! | `users.rs` | `/api/admin/v1alpha1/users`, `/api/admin/v1alpha1/user/whoami` |
//! | `groups/` | `/api/groups/v1alpha1/apps/{app}/groups` |
//! | `dead_letters/` | `/api/groups/v1alpha1/apps/{app}/dead-letters` |
//! | `discovery.rs` | `/.well-known/drogue-endpoints` and what clients ask beside it |
//! | `commands.rs` | `/api/command/v1alpha1/apps/{app}` |
//! | `conditions.rs` | what applications are told of themselves |
//! | `list.rs` | lists, streamed |
//! | `extract.rs` | what handlers take from a request |
//! | `error.rs` | every way to fail, with status and JSON body |
//!
//! Where this API differs from the original: credentials are always demanded (401; only `whoami` answers without), bodies
//! explain every error, the credentials of devices are shown only to those who may change them, a change of members
//! moves `resourceVersion`, and an application that the caller may not read is answered like one that is not there (404; the
//! original tells the two apart by a 403).

mod applications;
mod commands;
mod conditions;
mod dead_letters;
mod devices;
mod discovery;
mod error;
mod extract;
mod groups;
mod import;
mod keys;
mod list;
mod members;
mod registry_events;
mod removal;
mod transfer;
mod users;

use std::sync::Arc;

use axum::Router;
use axum::routing::{any, get, post, put};
use sockeye_access::{Access, AuthorizeError, Permission, is_user_name};
use sockeye_log::{Log, Retention};
use sockeye_registry::{Application, Registry};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use error::ApiError;
use extract::Login;

pub use discovery::Reached;
pub use groups::{LiveGroup, LiveGroups, LiveMember};
pub use registry_events::RegistryEvents;
pub use removal::Removal;

/// The API: what its calls share.
pub struct Api {
    registry: Arc<dyn Registry>,
    log: Arc<dyn Log>,
    access: Arc<Access>,
    groups: Arc<dyn LiveGroups>,
    events: Arc<RegistryEvents>,
    removal: Arc<Removal>,
    retention: Retention,
    reached: Reached,
    /// Ends what is streamed without end.
    stop: CancellationToken,
    /// Held while dead letters are sent back or dropped, so that each is once.
    settling: Mutex<()>,
    /// Held while an application is made or removed, so that its name and its topic change together.
    lifecycle: Mutex<()>,
}

// ----------------------------------------------------------------------------------------------

impl Api {
    /// An API over these engines and groups. `retention` is that of the logs of new applications; what it streams without end
    /// ends after `stop`.
    #[allow(
        clippy::too_many_arguments,
        reason = "each is another room or engine, and they are named where it is made"
    )]
    pub fn new(
        registry: Arc<dyn Registry>,
        log: Arc<dyn Log>,
        access: Arc<Access>,
        groups: Arc<dyn LiveGroups>,
        events: Arc<RegistryEvents>,
        removal: Arc<Removal>,
        retention: Retention,
        stop: CancellationToken,
    ) -> Self {
        Self {
            registry,
            log,
            access,
            groups,
            events,
            removal,
            retention,
            reached: Reached::default(),
            stop,
            settling: Mutex::new(()),
            lifecycle: Mutex::new(()),
        }
    }

    /// How clients reach it, if not in plain HTTP where they ask, and with which provider people log in.
    #[must_use]
    pub fn reached(self, reached: Reached) -> Self {
        Self { reached, ..self }
    }

    /// The application, if it is there and the caller may do this with it.
    async fn authorize(
        &self,
        login: &Login,
        name: &str,
        permission: Permission,
    ) -> Result<Option<Application>, ApiError> {
        match self.access.authorize(&login.caller, name, permission).await {
            Ok(application) => Ok(Some(application)),
            Err(AuthorizeError::NotFound) => Ok(None),
            Err(AuthorizeError::Unavailable(unavailable)) => Err(unavailable.into()),
        }
    }

    /// The application. Who may read it is told that more than that is not allowed (403); for all others it is not there (404), so
    /// that no answer tells a stranger whether there is a private application of a name.
    async fn application(&self, login: &Login, name: &str, permission: Permission) -> Result<Application, ApiError> {
        match self.authorize(login, name, Permission::Read).await? {
            Some(application) if login.caller.may(permission, &application) => Ok(application),
            Some(_) => Err(ApiError::Forbidden),
            None => Err(ApiError::no_application(name)),
        }
    }

    /// Demands that a user can be meant, in this `field`. Users of a provider are known only once they have logged in, and may be named
    /// before that.
    async fn check_user(&self, field: &str, user: &str) -> Result<(), ApiError> {
        if !is_user_name(user) {
            return Err(ApiError::BadRequest(format!("{field}: nobody can be called `{user}`")));
        }
        if self.access.oidc().is_none() && self.registry.user(user).await?.is_none() {
            return Err(ApiError::BadRequest(format!(
                "{field}: there is no user `{user}`; an administrator makes one together with an access key"
            )));
        }
        Ok(())
    }
}

/// The routes below `/api`, and those of `/.well-known` that lead there.
pub fn router(state: Arc<Api>) -> Router {
    let apps = get(applications::list).post(applications::create);
    let app = get(applications::get)
        .put(applications::update)
        .delete(applications::delete);
    let devices = get(devices::list).post(devices::create);
    let device = get(devices::get).put(devices::update).delete(devices::delete);
    let members = get(members::get).put(members::put);
    let transfer = get(transfer::get).put(transfer::offer).delete(transfer::withdraw);
    let keys = get(keys::list).post(keys::create);
    let key = put(keys::update).delete(keys::delete);
    let group = get(groups::get).post(groups::create).delete(groups::delete);
    let letters = get(dead_letters::of_group).post(dead_letters::settle);
    Router::new()
        .route("/api/registry/v1alpha1/apps", apps)
        .route("/api/registry/v1alpha1/apps/{app}", app)
        .route("/api/registry/v1alpha1/apps/{app}/devices", devices)
        .route("/api/registry/v1alpha1/apps/{app}/devices/{device}", device)
        .route("/api/admin/v1alpha1/apps/{app}/members", members)
        .route("/api/admin/v1alpha1/apps/{app}/transfer-ownership", transfer)
        .route("/api/admin/v1alpha1/apps/{app}/accept-ownership", put(transfer::accept))
        .route("/api/admin/v1alpha1/user/whoami", get(users::who_am_i))
        .route("/api/groups/v1alpha1/apps/{app}/groups", get(groups::list))
        .route("/api/groups/v1alpha1/apps/{app}/groups/{group}", group)
        .route(
            "/api/groups/v1alpha1/apps/{app}/groups/{group}/position",
            put(groups::seek),
        )
        .route("/api/groups/v1alpha1/apps/{app}/groups/{group}/dead-letters", letters)
        .route(
            "/api/groups/v1alpha1/apps/{app}/dead-letters",
            get(dead_letters::of_application),
        )
        .route("/api/tokens/v1alpha1", keys)
        .route("/api/tokens/v1alpha1/{prefix}", key)
        .route(
            "/api/command/v1alpha1/apps/{app}/devices/{device}",
            post(commands::send),
        )
        .route(
            "/api/command/v1alpha1/apps/{app}/commands/{command}",
            get(commands::get),
        )
        .route("/api/console/v1alpha1/info", get(discovery::info))
        .route("/.well-known/drogue-endpoints", get(discovery::endpoints))
        .route("/.well-known/drogue-version", get(discovery::version))
        .route("/.well-known/openid-configuration", get(discovery::openid))
        .route("/.well-known/no-single-sign-on", any(discovery::no_single_sign_on))
        .route("/api/admin/v1alpha1/users", get(users::list).post(import::import))
        .route("/api/admin/v1alpha1/users/{user}", put(users::update))
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .with_state(state)
}
