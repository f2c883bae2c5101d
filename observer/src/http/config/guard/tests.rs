//! Who is let in, who waits and who is sent away.

use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use super::super::users;
use super::*;

const REFUSED: Result<(), Refusal> = Err(Refusal::Unknown);

fn users(pairs: &[(&str, &str)]) -> Users {
    let owned = |(name, hash): &(&str, &str)| ((*name).to_owned(), (*hash).to_owned());
    users::build(&pairs.iter().map(owned).collect()).unwrap()
}

fn asks(authorization: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, authorization.parse().unwrap());
    headers
}

fn basic(text: &str) -> HeaderMap {
    asks(&format!("Basic {}", STANDARD.encode(text)))
}

#[tokio::test]
async fn only_the_right_name_with_the_right_password_is_let_in() {
    let (of_alice, of_bob) = (
        bcrypt::hash("a:1", 4).unwrap(),
        bcrypt::hash("b", 4).unwrap(),
    );
    let users = users(&[("alice", &of_alice), ("bob", &of_bob)]);
    let guard = Guard::new().unwrap();
    // The second time it is remembered, and nothing else is.
    for _ in 0..2 {
        assert_eq!(guard.admits(&users, &basic("alice:a:1")).await, Ok(()));
        assert_eq!(guard.admits(&users, &basic("bob:b")).await, Ok(()));
        for text in [
            "alice:b",
            "bob:a:1",
            "alice",
            "alice:",
            ":",
            "",
            "carol:a:1",
            "ALICE:a:1",
        ] {
            assert_eq!(
                guard.admits(&users, &basic(text)).await,
                REFUSED,
                "{text:?}"
            );
        }
    }
    assert_eq!(guard.known.seals().len(), 2);
    for text in ["Bearer x", "Basic", "Basic %%%", "basic YWxpY2U="] {
        assert_eq!(guard.admits(&users, &asks(text)).await, REFUSED, "{text:?}");
    }
    assert_eq!(guard.admits(&users, &HeaderMap::new()).await, REFUSED);
}

#[tokio::test]
async fn a_new_password_ends_the_old_one() {
    let guard = Guard::new().unwrap();
    let with = |password: &str| users(&[("alice", &bcrypt::hash(password, 4).unwrap())]);
    let (old, new) = (with("old"), with("new"));
    assert_eq!(guard.admits(&old, &basic("alice:old")).await, Ok(()));
    assert_eq!(guard.admits(&new, &basic("alice:old")).await, REFUSED);
    assert_eq!(guard.admits(&new, &basic("alice:new")).await, Ok(()));
    assert_eq!(
        guard.admits(&Users::default(), &basic("alice:new")).await,
        REFUSED
    );
}

#[tokio::test]
async fn what_is_remembered_is_bounded() {
    let hash = bcrypt::hash("x", 4).unwrap();
    let guard = Guard::new().unwrap();
    for number in 0..REMEMBERED + 2 {
        let name = format!("user{number}");
        let users = users(&[(&name, &hash)]);
        assert_eq!(
            guard.admits(&users, &basic(&format!("{name}:x"))).await,
            Ok(())
        );
        assert!(guard.known.seals().len() <= REMEMBERED);
    }
}
/// Where one check runs at most, whoever asks for more.
fn with_one_thread(test: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().max_blocking_threads(1).build();
    runtime.unwrap().block_on(test);
}

/// Keeps that thread busy, so that no check begins before this is dropped.
fn busy() -> mpsc::Sender<()> {
    let (sender, receiver) = mpsc::channel::<()>();
    drop(tokio::task::spawn_blocking(move || receiver.recv().is_ok()));
    sender
}

type Asked<'a> = Pin<Box<dyn Future<Output = Result<(), Refusal>> + 'a>>;

/// Goes on as far as it can without waiting.
fn step(asked: &mut Asked<'_>) -> Poll<Result<(), Refusal>> {
    asked.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_check_goes_on_alone_when_who_asked_is_gone() {
    with_one_thread(async {
        let users = users(&[("alice", &bcrypt::hash("x", 4).unwrap())]);
        let (guard, right) = (Guard::new().unwrap(), basic("alice:x"));
        let held = busy();
        let mut asked: Asked<'_> = Box::pin(guard.admits(&users, &right));
        assert!(step(&mut asked).is_pending());
        drop(asked);
        assert_eq!(guard.one_at_a_time.available_permits(), 0);
        assert!(guard.known.seals().is_empty());
        drop(held);
        drop(guard.one_at_a_time.acquire().await.unwrap());
        assert_eq!(guard.known.seals().len(), 1);
        let _held = busy();
        let mut asked: Asked<'_> = Box::pin(guard.admits(&users, &right));
        assert_eq!(step(&mut asked), Poll::Ready(Ok(())));
    });
}

#[test]
fn who_waits_with_the_same_password_is_let_in_by_one_check() {
    with_one_thread(async {
        let users = users(&[("alice", &bcrypt::hash("x", 4).unwrap())]);
        let (guard, right, wrong) = (Guard::new().unwrap(), basic("alice:x"), basic("alice:y"));
        let held = busy();
        let [mut first, mut second, mut third, mut other] = [&right, &right, &right, &wrong]
            .map(|it| -> Asked<'_> { Box::pin(guard.admits(&users, it)) });
        for asked in [&mut first, &mut second, &mut third, &mut other] {
            assert!(step(asked).is_pending());
        }
        drop(held);
        assert_eq!(first.await, Ok(()));
        let held = busy();
        assert_eq!(step(&mut second), Poll::Ready(Ok(())));
        assert_eq!(step(&mut third), Poll::Ready(Ok(())));
        assert!(step(&mut other).is_pending());
        drop(held);
        assert_eq!(other.await, REFUSED);
    });
}

#[test]
fn few_wait_for_a_check_and_who_is_known_never_does() {
    with_one_thread(async {
        let hash = bcrypt::hash("x", 4).unwrap();
        let users = users(&[("alice", &hash), ("bob", &hash)]);
        let (guard, known, new) = (Guard::new().unwrap(), basic("alice:x"), basic("bob:x"));
        assert_eq!(guard.admits(&users, &known).await, Ok(()));
        let held = busy();
        let ask = || -> Asked<'_> { Box::pin(guard.admits(&users, &new)) };
        let mut waiting: Vec<Asked<'_>> = (0..=WAITING).map(|_| ask()).collect();
        assert!(waiting.iter_mut().all(|asked| step(asked).is_pending()));
        assert_eq!(step(&mut ask()), Poll::Ready(Err(Refusal::TooManyChecks)));
        assert_eq!(guard.admits(&users, &known).await, Ok(()));
        // Who goes away leaves a place.
        drop(waiting.pop());
        assert!(step(&mut ask()).is_pending());
        drop(held);
        for asked in waiting {
            assert_eq!(asked.await, Ok(()));
        }
        assert_eq!(guard.waiting.available_permits(), WAITING);
    });
}
