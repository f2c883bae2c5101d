//! Who is let in, by name and password.
//!
//! Takes [`Users`] and headers of requests; says who is let in. A check costs a CPU a good part of a
//! second, so it is made on another thread, one at a time, few wait for it, and what was right is
//! remembered.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderMap};
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Refusal;
use super::users::Users;

/// Right answers that are remembered.
const REMEMBERED: usize = 64;

/// Requests that wait while a password is checked; each holds a connection.
const WAITING: usize = 16;

/// Lets in who has the password.
#[derive(Debug)]
pub(super) struct Guard {
    /// Made at the start, so that what is remembered tells nothing to who reads memory later.
    key: hmac::Key,
    known: Arc<Known>,
    one_at_a_time: Arc<Semaphore>,
    waiting: Semaphore,
}

/// Seals of a user, the hash and the password that matched.
#[derive(Debug, Default)]
struct Known(Mutex<BTreeSet<[u8; 32]>>);

impl Known {
    fn has(&self, seal: &[u8; 32]) -> bool {
        self.seals().contains(seal)
    }

    fn remember(&self, seal: [u8; 32]) {
        let mut seals = self.seals();
        if seals.len() >= REMEMBERED {
            seals.clear();
        }
        seals.insert(seal);
    }

    fn seals(&self) -> std::sync::MutexGuard<'_, BTreeSet<[u8; 32]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guard {
    /// A guard who knows nobody yet; `None` if the host has no random numbers.
    pub(super) fn new() -> Option<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok()?;
        Some(Self {
            key,
            known: Arc::default(),
            one_at_a_time: Arc::new(Semaphore::new(1)),
            waiting: Semaphore::new(WAITING),
        })
    }

    /// Whether one of the users asks.
    pub(super) async fn admits(&self, users: &Users, headers: &HeaderMap) -> Result<(), Refusal> {
        let (name, password) = credentials(headers).ok_or(Refusal::Unknown)?;
        let of_user = users.hash_of(&name);
        // If all hashes cost the same, a name that is not known takes as long as one that is, so
        // nobody learns which are.
        let hash = of_user.or_else(|| users.any_hash());
        let hash = hash.ok_or(Refusal::Unknown)?;
        let is_user = of_user.is_some();
        let seal = self.seal(&[name.as_bytes(), hash.as_bytes(), &password]);
        if is_user && self.known.has(&seal) {
            return Ok(());
        }
        let turn = self.turn().await?;
        // Who had the turn before may have shown the same.
        if is_user && self.known.has(&seal) {
            return Ok(());
        }
        let (hash, known) = (hash.to_owned(), Arc::clone(&self.known));
        let check = move || {
            let admits = bcrypt::verify(password, &hash).unwrap_or(false) && is_user;
            if admits {
                known.remember(seal);
            }
            // The check goes on when the client is gone, and the next one waits for its end.
            drop(turn);
            admits
        };
        let admits = tokio::task::spawn_blocking(check).await;
        if admits.unwrap_or(false) {
            Ok(())
        } else {
            Err(Refusal::Unknown)
        }
    }

    /// The turn to check a password.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let place = self.waiting.try_acquire();
        let _place = place.map_err(|_full| Refusal::TooManyChecks)?;
        let turn = Arc::clone(&self.one_at_a_time).acquire_owned().await;
        turn.map_err(|_closed| Refusal::TooManyChecks)
    }

    /// The same for the same parts only.
    fn seal(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut seal = [0; 32];
        for (to, from) in seal.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        seal
    }
}

/// Name and password of a request (RFC 7617).
fn credentials(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let (name, rest) = decoded.split_at(colon);
    let password = rest.get(1..)?.to_vec();
    Some((String::from_utf8(name.to_vec()).ok()?, password))
}

#[cfg(test)]
mod tests;
