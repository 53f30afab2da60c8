//! Passwords of devices (compat/drogue.md 4.3). Slow hashes are verified by threads of their own, behind a short queue; what
//! was verified is remembered, so that a device that publishes often costs one hash, and wrong passwords cannot delay it.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use moka::sync::Cache;
use rand::RngExt;
use sha_crypt::{PasswordHashRef, PasswordVerifier, ShaCrypt};
use sha2::{Digest, Sha256};
use sockeye_limits as limits;
use sockeye_registry::Password;
use subtle::ConstantTimeEq;
use tokio::sync::{Semaphore, oneshot};

use crate::Secret;

/// Verifies passwords.
pub(crate) struct Passwords {
    jobs: SyncSender<Job>,
    verified: Cache<Fingerprint, ()>,
    /// Makes fingerprints of this process of no use to another.
    secret: [u8; 32],
}

/// One for each device: lets one hash at a time into the queue of all devices, and bounds who waits for that.
pub(crate) struct Gate {
    places: Semaphore,
    turn: tokio::sync::Mutex<()>,
}

/// Too many verifications wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy;

/// A stored password that is never verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Whoever knows the name would be the device.
    #[error("must not be empty")]
    Empty,
    /// Not the form that its name promises.
    #[error("must be a hash of the form `{0}`")]
    Form(&'static str),
    /// One device would block the others.
    #[error("has a cost of {0}, the highest allowed is {1}")]
    Cost(u32, u32),
}

/// Keyed hash of a stored and a given password.
type Fingerprint = [u8; 32];

struct Job {
    stored: Password,
    given: Secret,
    reply: oneshot::Sender<bool>,
}

// ----------------------------------------------------------------------------------------------

impl Passwords {
    pub(crate) fn new() -> Self {
        let (passwords, queue) = Self::with_queue();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..limits::HASH_THREADS {
            let queue = queue.clone();
            let work = move || while work(&queue) {};
            if let Err(error) = std::thread::Builder::new().name("hash".to_owned()).spawn(work) {
                tracing::error!(%error, "no thread for password hashes: devices that have them are told to try later");
            }
        }
        passwords
    }

    /// Without threads: the queue is for the caller to serve.
    fn with_queue() -> (Self, Receiver<Job>) {
        let (jobs, queue) = sync_channel(limits::HASH_QUEUE);
        let passwords = Self {
            jobs,
            verified: Cache::builder()
                .max_capacity(limits::HASH_CACHE_ENTRIES)
                .time_to_idle(limits::HASH_CACHE_TIME)
                .build(),
            secret: rand::rng().random(),
        };
        (passwords, queue)
    }

    /// Whether `given` is the password that is stored.
    pub(crate) async fn verify(&self, gate: &Gate, stored: &Password, given: &Secret) -> Result<bool, Busy> {
        if given.expose().len() > limits::PASSWORD {
            return Ok(false);
        }
        let hash = match stored {
            Password::Plain(plain) => {
                // Of equal length whatever the passwords are, so that their lengths cannot be measured either.
                let (one, other) = (self.fingerprint("", plain), self.fingerprint("", given.expose()));
                return Ok(one.ct_eq(&other).into());
            }
            Password::Bcrypt(hash) | Password::Sha512(hash) => hash,
        };
        let fingerprint = self.fingerprint(hash, given.expose());
        if self.is_verified(&fingerprint) {
            return Ok(true);
        }
        let _place = gate.places.try_acquire().map_err(|_| Busy)?;
        let _turn = gate.turn.lock().await;
        if self.is_verified(&fingerprint) {
            return Ok(true);
        }
        let (reply, answer) = oneshot::channel();
        let job = Job {
            stored: stored.clone(),
            given: given.clone(),
            reply,
        };
        self.jobs.try_send(job).map_err(|_| Busy)?;
        let verified = answer.await.map_err(|_| Busy)?;
        if verified {
            self.verified.insert(fingerprint, ());
        }
        Ok(verified)
    }

    fn is_verified(&self, fingerprint: &Fingerprint) -> bool {
        // Not `contains_key`, which does not count as a use.
        self.verified.get(fingerprint).is_some()
    }

    fn fingerprint(&self, stored: &str, given: &str) -> Fingerprint {
        let mut hasher = Sha256::new_with_prefix(self.secret);
        hasher.update((stored.len() as u64).to_le_bytes());
        hasher.update(stored);
        hasher.update(given);
        hasher.finalize().into()
    }
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self {
            places: Semaphore::new(limits::HASH_QUEUE_PER_DEVICE),
            turn: tokio::sync::Mutex::new(()),
        }
    }
}

/// Checks that a stored password has a form and a cost with which it can be verified. Costs nothing itself.
pub fn check_password(stored: &Password) -> Result<(), PasswordError> {
    match stored {
        Password::Plain(text) if text.is_empty() => Err(PasswordError::Empty),
        Password::Plain(_) => Ok(()),
        Password::Bcrypt(hash) => {
            let form = PasswordError::Form("$2b$<cost>$<salt and hash>");
            let mut fields = hash.split('$').skip(1);
            let (Some("2a" | "2b" | "2x" | "2y"), Some(cost), Some(rest), None) =
                (fields.next(), fields.next(), fields.next(), fields.next())
            else {
                return Err(form);
            };
            if rest.len() != 53 {
                return Err(form);
            }
            bounded(cost, 4, limits::BCRYPT_COST, form)
        }
        Password::Sha512(hash) => {
            let form = PasswordError::Form("$6$[rounds=<rounds>$]<salt>$<hash>");
            let rest = hash.strip_prefix("$6$").ok_or(form)?;
            let (rounds, rest) = match rest.strip_prefix("rounds=").and_then(|rest| rest.split_once('$')) {
                Some((rounds, rest)) => (Some(rounds), rest),
                None => (None, rest),
            };
            match rest.split_once('$') {
                Some((salt, hash)) if salt.len() <= 16 && hash.len() == 86 => {}
                _ => return Err(form),
            }
            rounds.map_or(Ok(()), |rounds| {
                bounded(rounds, 1000, limits::SHA512_CRYPT_ROUNDS, form)
            })
        }
    }
}

fn bounded(cost: &str, least: u32, most: u32, form: PasswordError) -> Result<(), PasswordError> {
    match cost.parse() {
        Ok(cost) if cost > most => Err(PasswordError::Cost(cost, most)),
        Ok(cost) if cost >= least => Ok(()),
        _ => Err(form),
    }
}

/// Waits for a job and does it; false: there will be no more.
fn work(queue: &Mutex<Receiver<Job>>) -> bool {
    let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
    let Ok(Job { stored, given, reply }) = job else {
        return false;
    };
    // Who asked may have gone meanwhile.
    if !reply.is_closed() {
        let _ = reply.send(hash_matches(&stored, &given));
    }
    true
}

fn hash_matches(stored: &Password, given: &Secret) -> bool {
    if check_password(stored).is_err() {
        return false;
    }
    let given = given.expose().as_bytes();
    match stored {
        Password::Plain(_) => false,
        Password::Bcrypt(hash) => bcrypt::verify(given, hash).unwrap_or(false),
        Password::Sha512(hash) => {
            PasswordHashRef::new(hash).is_ok_and(|hash| ShaCrypt::SHA512.verify_password(given, hash).is_ok())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the specification of SHA-crypt, "Hello world!".
    const SHA512: &str =
        "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";
    const SHA512_ROUNDS: &str = "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.";
    /// From the tests of OpenBSD's bcrypt, "U*U".
    const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

    async fn check(stored: Password, given: &str, expected: bool) {
        let passwords = Passwords::new();
        let shown = format!("{stored:?} {given}");
        // Twice: the second answer may be remembered.
        for _ in 0..2 {
            let verified = passwords.verify(&Gate::new(), &stored, &Secret::new(given)).await;
            assert_eq!(verified, Ok(expected), "{shown}");
        }
    }

    #[tokio::test]
    async fn passwords_of_every_form() {
        let plain = |text: &str| Password::Plain(text.into());
        check(plain("pw"), "pw", true).await;
        check(plain("pw"), "Pw", false).await;
        check(plain("pw"), "pw ", false).await;
        check(plain(""), "pw", false).await;
        check(plain(BCRYPT), "U*U", false).await;
        check(Password::Bcrypt(BCRYPT.into()), "U*U", true).await;
        check(Password::Bcrypt(BCRYPT.into()), "U*V", false).await;
        check(Password::Bcrypt(SHA512.into()), "Hello world!", false).await;
        check(Password::Sha512(SHA512.into()), "Hello world!", true).await;
        check(Password::Sha512(SHA512.into()), "Hello world", false).await;
        check(Password::Sha512(SHA512_ROUNDS.into()), "Hello world!", true).await;
        check(Password::Sha512(BCRYPT.into()), "U*U", false).await;
        let longest = "x".repeat(limits::PASSWORD);
        check(plain(&longest), &longest, true).await;
        check(plain(&format!("{longest}x")), &format!("{longest}x"), false).await;
    }

    #[test]
    fn what_is_stored_has_a_form_and_a_bounded_cost() {
        let bcrypt = |text: String| check_password(&Password::Bcrypt(text));
        let sha512 = |text: String| check_password(&Password::Sha512(text));
        assert_eq!(
            check_password(&Password::Plain(String::new())),
            Err(PasswordError::Empty)
        );
        for good in [SHA512, SHA512_ROUNDS] {
            assert_eq!(sha512(good.into()), Ok(()));
        }
        assert_eq!(bcrypt(BCRYPT.into()), Ok(()));
        assert_eq!(bcrypt(BCRYPT.replace("$05$", "$14$")), Ok(()));
        assert_eq!(bcrypt(BCRYPT.replace("$05$", "$15$")), Err(PasswordError::Cost(15, 14)));
        assert_eq!(
            sha512(SHA512_ROUNDS.replace("=10000", "=999999")),
            Err(PasswordError::Cost(999_999, 500_000))
        );
        let no_bcrypt = [
            "",
            "pw",
            "$2b$",
            &BCRYPT[..50],
            &BCRYPT.replace("2a", "3"),
            &BCRYPT.replace("$05$", "$-5$"),
            &BCRYPT.replace("$05$", "$03$"),
            SHA512,
        ];
        for bad in no_bcrypt {
            assert!(matches!(bcrypt(bad.into()), Err(PasswordError::Form(_))), "{bad}");
        }
        for bad in [
            "",
            "pw",
            "$6$",
            &SHA512[..90],
            &SHA512_ROUNDS.replace("=10000", "=99999999999"),
            &SHA512_ROUNDS.replace("=10000", "=999"),
            BCRYPT,
        ] {
            assert!(matches!(sha512(bad.into()), Err(PasswordError::Form(_))), "{bad}");
        }
    }

    /// A verification that waits in the queue.
    async fn queue_one(passwords: &Arc<Passwords>, given: &str) -> tokio::task::JoinHandle<Result<bool, Busy>> {
        let (passwords, given) = (passwords.clone(), Secret::new(given));
        let started = tokio::spawn(async move {
            let stored = Password::Bcrypt(BCRYPT.into());
            passwords.verify(&Gate::new(), &stored, &given).await
        });
        // On this runtime of one thread, the task runs now until it waits for its answer.
        tokio::task::yield_now().await;
        started
    }

    #[tokio::test]
    async fn wrong_passwords_fill_the_queue_and_do_not_touch_who_is_known() {
        let (passwords, queue) = Passwords::with_queue();
        let (passwords, queue) = (Arc::new(passwords), Mutex::new(queue));
        let good = queue_one(&passwords, "U*U").await;
        assert!(work(&queue));
        assert_eq!(good.await.unwrap(), Ok(true));

        let mut wrong = Vec::new();
        for _ in 0..limits::HASH_QUEUE {
            wrong.push(queue_one(&passwords, "guess").await);
        }
        assert_eq!(queue_one(&passwords, "another guess").await.await.unwrap(), Err(Busy));
        assert_eq!(
            queue_one(&passwords, "U*U").await.await.unwrap(),
            Ok(true),
            "remembered"
        );

        // Who has gone is not hashed for.
        for task in wrong.drain(1..) {
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        }
        assert!(work(&queue));
        assert_eq!(wrong.remove(0).await.unwrap(), Ok(false));
        assert!((1..limits::HASH_QUEUE).all(|_| work(&queue)));
        drop(passwords);
        assert!(!work(&queue), "the threads end with the last user");
    }

    #[tokio::test]
    async fn one_device_has_one_place_in_the_queue() {
        let (passwords, queue) = Passwords::with_queue();
        let (gate, stored, queue) = (Gate::new(), Password::Bcrypt(BCRYPT.into()), Mutex::new(queue));
        let good = Secret::new("U*U");
        let many = async {
            let verify = || passwords.verify(&gate, &stored, &good);
            tokio::join!(verify(), verify(), verify())
        };
        let one = async {
            tokio::task::yield_now().await;
            assert!(work(&queue));
            assert!(queue.lock().unwrap().try_recv().is_err(), "the others did not queue");
        };
        assert_eq!(tokio::join!(many, one).0, (Ok(true), Ok(true), Ok(true)));

        let _all = gate
            .places
            .try_acquire_many(limits::HASH_QUEUE_PER_DEVICE as u32)
            .unwrap();
        assert_eq!(passwords.verify(&gate, &stored, &Secret::new("guess")).await, Err(Busy));
        assert_eq!(passwords.verify(&gate, &stored, &good).await, Ok(true), "remembered");
    }
}
