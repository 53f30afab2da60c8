//! The engine as a whole: its parts, how they start and end; and how a question or a change is run.

use std::fmt;
use std::sync::Arc;
use std::thread;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Transaction};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sockeye_limits as limits;
use sockeye_registry::{Change, WriteError};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Notify, Semaphore, oneshot, watch};
use tokio::time::timeout;
use tokio_postgres::Config;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::sync::CancellationToken;

use crate::changes::{self, Changes};
use crate::failure::{Failure, Refusal};
use crate::listen::listen;
use crate::options::place;
use crate::schema::{self, STEPS, Step};
use crate::{OpenError, PostgresOptions, tls};

/// The registry over PostgreSQL. Clones share it; when the last one is dropped, or it is closed, its connections end.
#[derive(Clone)]
pub struct PostgresRegistry {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) changes: Arc<Changes>,
    /// How many changes of devices may wait to be told.
    pub(crate) outbox: usize,
    pool: Pool,
    /// Calls that are being answered, or wait for a connection.
    calls: Arc<Semaphore>,
    /// Of the engine's thread: nothing of PostgreSQL runs where connections of clients are served.
    runtime: Handle,
    stop: CancellationToken,
    /// Closed when the thread has ended.
    ended: watch::Receiver<()>,
}

/// The work of a call, on a connection.
type Work<'c, T, E> = BoxFuture<'c, Result<T, E>>;

// ----------------------------------------------------------------------------------------------

impl PostgresRegistry {
    /// Connects, and makes the tables if they are not there.
    pub async fn open(options: &PostgresOptions) -> Result<Self, OpenError> {
        Self::open_with(options, STEPS).await
    }

    pub(crate) async fn open_with(options: &PostgresOptions, steps: &'static [Step]) -> Result<Self, OpenError> {
        let (config, tls) = (options.config()?, tls::connector(options)?);
        let (stop, (alive, ended), (started, runtime)) =
            (CancellationToken::new(), watch::channel(()), oneshot::channel());
        let failed = |error: std::io::Error| OpenError::Thread(error.to_string());
        let own = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let until = stop.clone();
        thread::Builder::new()
            .name("postgres".to_owned())
            .spawn(move || {
                let _alive = alive;
                let _ = started.send(own.handle().clone());
                own.block_on(until.cancelled());
                // What is still asked is cut off.
                own.shutdown_background();
            })
            .map_err(failed)?;
        // Stops the thread if the rest fails.
        let guard = stop.clone().drop_guard();
        let runtime = runtime.await.map_err(|error| OpenError::Thread(error.to_string()))?;
        let start = runtime.spawn(start(config, tls, steps));
        let (pool, changes) = start.await.map_err(|error| OpenError::Thread(error.to_string()))??;
        guard.disarm();
        let inner = Inner {
            changes,
            outbox: options.outbox,
            pool,
            calls: Arc::new(Semaphore::new(limits::POSTGRES_CALLS)),
            runtime,
            stop,
            ended,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Ends all connections; calls fail from now on.
    pub async fn close(&self) {
        self.inner.stop.cancel();
        // It says nothing, it ends.
        let _ = self.inner.ended.clone().changed().await;
    }

    /// Does work on a connection, within [`limits::POSTGRES_ANSWER`]; to its end also if the caller goes.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut Object) -> Work<'c, T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let calls = Arc::clone(&self.inner.calls);
        let permit = calls.try_acquire_owned().map_err(|_full| Failure::Busy)?;
        let pool = self.inner.pool.clone();
        let task = self.inner.runtime.spawn(async move {
            let _permit = permit;
            let mut lent = None;
            let answer = timeout(limits::POSTGRES_ANSWER, async {
                work(lent.insert(pool.get().await?)).await
            });
            answer.await.unwrap_or_else(|_elapsed| {
                // Nobody knows in which state it is.
                lent.map(Object::take);
                Err(Failure::Silent)
            })
        });
        task.await.unwrap_or(Err(Failure::Closed))
    }

    /// Answers a question. What PostgreSQL cannot store is not there.
    pub(crate) async fn ask<T: Default + Send + 'static>(
        &self,
        question: impl for<'c> FnOnce(&'c mut Object) -> Work<'c, T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        match self.run(question).await {
            Err(Failure::Unstorable) => Ok(T::default()),
            answer => answer,
        }
    }

    /// Makes a change that rules may forbid, alone: what it gives, and what listeners are told once it is durable. They are told
    /// before the caller is.
    pub(crate) async fn change<T: Send + 'static, C: IntoIterator<Item = Change> + Send + 'static>(
        &self,
        job: impl for<'c> FnOnce(&'c Transaction<'c>) -> Work<'c, (T, C), Refusal> + Send + 'static,
    ) -> Result<T, WriteError> {
        let changes = Arc::clone(&self.inner.changes);
        let stored = self.run(move |connection| {
            async move {
                let transaction = connection.transaction().await?;
                changes::begin(&transaction).await?;
                let (value, made): (T, Vec<Change>) = match job(&transaction).await {
                    Ok((value, changes)) => (value, changes.into_iter().collect()),
                    Err(Refusal::Rule(error)) => {
                        transaction.rollback().await?;
                        return Ok(Err(error));
                    }
                    Err(Refusal::Failure(failure)) => return Err(failure),
                };
                for change in &made {
                    changes::note(&transaction, change).await?;
                }
                transaction.commit().await?;
                if !made.is_empty() {
                    changes.catch_up(&*connection).await?;
                }
                Ok(Ok(value))
            }
            .boxed()
        });
        stored.await?
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl fmt::Debug for PostgresRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresRegistry").finish_non_exhaustive()
    }
}

/// On the engine's thread: everything that connects.
async fn start(config: Config, tls: MakeRustlsConnect, steps: &[Step]) -> Result<(Pool, Arc<Changes>), OpenError> {
    let place = place(&config);
    let silent = |_elapsed| OpenError::Silent { place: place.clone() };
    let connect = timeout(limits::POSTGRES_ANSWER, config.connect(tls.clone()));
    let connected = connect.await.map_err(silent)?;
    let (mut client, connection) = connected.map_err(|error| OpenError::of(&place, &error))?;
    let driver = tokio::spawn(connection);
    let prepared = schema::prepare(&mut client, &place, steps).await;
    driver.abort();
    let changes = Arc::new(Changes::new(prepared?));

    let recycle = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = Manager::from_config(config.clone(), tls.clone(), recycle);
    let pool = Pool::builder(manager)
        .max_size(limits::POSTGRES_CONNECTIONS)
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| OpenError::Options(error.to_string()))?;
    let woken = Arc::<Notify>::default();
    tokio::spawn(listen(config, tls, Arc::clone(&woken)));
    tokio::spawn(tell(pool.clone(), Arc::clone(&changes), woken));
    Ok((pool, changes))
}

/// Tells changes of other nodes: when woken, and every now and then, for whoever was not.
async fn tell(pool: Pool, changes: Arc<Changes>, woken: Arc<Notify>) {
    loop {
        let _ = timeout(limits::POSTGRES_POLL, woken.notified()).await;
        let mut lent = None;
        let look = timeout(limits::POSTGRES_ANSWER, async {
            changes.catch_up(&*lent.insert(pool.get().await?)).await
        });
        match look.await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => tracing::debug!(%failure, "changes of the registry cannot be looked for"),
            Err(_elapsed) => {
                lent.map(Object::take);
            }
        }
    }
}
