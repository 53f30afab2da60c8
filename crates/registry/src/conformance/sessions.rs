//! Sessions, streams and aliases of Octave.

use jiff::Timestamp;

use super::{ANY, Fixture, application};
use crate::{Change, Page, Session, Stream, WriteError};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn session(hash: &str, created: i64) -> Session {
    Session {
        hash: hash.into(),
        key: "drg_1".into(),
        application: "app".into(),
        company: "App_1".into(),
        created: at(created),
        expires: at(created + 60),
    }
}

fn stream(id: &str, device: Option<&str>, channel: &str) -> Stream {
    Stream {
        application: "app".into(),
        id: id.into(),
        device: device.map(Into::into),
        channel: channel.into(),
        description: "fürs Ohr".into(),
        capacity: 1_000,
        created: at(1),
        creator: "eve".into(),
    }
}

pub async fn a_session_counts_as_long_as_it_is_prolonged(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    let refused = registry.create_session(session("a", 0), 9).await;
    assert_eq!(refused, Err(WriteError::NotFound("application")));
    registry.create_application(application("app")).await.unwrap();
    for hash in ["a", "b"] {
        assert_eq!(registry.create_session(session(hash, 0), 9).await, Ok(true));
    }
    assert_eq!(registry.session("a").await.unwrap(), Some(session("a", 0)));
    assert_eq!(registry.session("c").await.unwrap(), None);
    let these = ["a".to_owned(), "c".to_owned()];
    for (until, expires) in [(50, 60), (90, 90), (70, 90)] {
        registry.extend_sessions(&these, at(until)).await.unwrap();
        let found = registry.session("a").await.unwrap().unwrap();
        assert_eq!(found.expires, at(expires), "never shorter");
    }
    assert_eq!(registry.session("b").await.unwrap(), Some(session("b", 0)));
    registry.extend_sessions(&[], at(500)).await.unwrap();
    assert_eq!(registry.delete_session("a").await, Ok(true));
    assert_eq!(registry.delete_session("a").await, Ok(false));
    assert_eq!(registry.session("a").await.unwrap(), None);
}

pub async fn sessions_of_an_application_are_counted_as_long_as_they_count(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    registry.create_application(application("app")).await.unwrap();
    registry.create_application(application("other")).await.unwrap();
    let made = async |hash: &str, created| registry.create_session(session(hash, created), 2).await.unwrap();
    assert!(made("a", 0).await && made("b", 30).await);
    assert!(!made("c", 59).await, "two count");
    let other = Session {
        application: "other".into(),
        ..session("d", 59)
    };
    assert_eq!(registry.create_session(other, 2).await, Ok(true));
    assert!(made("c", 60).await, "one has expired");
    assert_eq!(registry.session("a").await.unwrap(), None, "and is removed");
    assert!(registry.session("b").await.unwrap().is_some());
}

pub async fn a_stream_is_found_by_its_id_and_by_what_it_is_of(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    let refused = registry.create_stream(stream("s1", None, "c")).await;
    assert_eq!(refused, Err(WriteError::NotFound("application")));
    registry.create_application(application("app")).await.unwrap();
    registry.create_application(application("other")).await.unwrap();
    let all = [
        stream("s1", None, "c"),
        stream("s2", Some("d"), "b"),
        stream("s3", Some("d"), "c"),
        stream("s0", Some("e"), "a/b"),
    ];
    for stream in all.iter().rev() {
        registry.create_stream(stream.clone()).await.unwrap();
    }
    for taken in [
        stream("s1", None, "x"),
        stream("s9", Some("d"), "c"),
        stream("s9", None, "c"),
    ] {
        let refused = registry.create_stream(taken).await;
        assert!(matches!(refused, Err(WriteError::Taken(_))), "{refused:?}");
    }
    // Another application has ids and names of its own.
    let others = Stream {
        application: "other".into(),
        ..stream("s1", None, "c")
    };
    registry.create_stream(others).await.unwrap();
    for stream in &all {
        assert_eq!(registry.stream("app", &stream.id).await.unwrap().as_ref(), Some(stream));
        let found = registry
            .stream_of("app", stream.device.as_deref(), &stream.channel)
            .await;
        assert_eq!(found.unwrap().as_ref(), Some(stream));
    }
    assert_eq!(registry.stream("app", "s9").await.unwrap(), None);
    assert_eq!(registry.stream_of("app", Some("c"), "c").await.unwrap(), None);
    assert_eq!(registry.stream_of("app", None, "b").await.unwrap(), None);
    let page = |offset, limit| registry.streams("app", Page { offset, limit });
    assert_eq!(page(0, 3).await.unwrap(), all[..3]);
    assert_eq!(page(3, 3).await.unwrap(), all[3..]);
    fixture.restart().await;
    assert_eq!(fixture.registry().streams("app", Page::default()).await.unwrap(), all);
}

pub async fn a_deleted_stream_is_gone_and_told(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    registry.create_application(application("app")).await.unwrap();
    registry.create_stream(stream("s1", Some("d"), "c")).await.unwrap();
    let mut changes = registry.changes();
    assert_eq!(registry.delete_stream("app", "s2").await, Ok(false));
    assert_eq!(registry.delete_stream("app", "s1").await, Ok(true));
    let told = Change::Stream {
        application: "app".into(),
        id: "s1".into(),
    };
    assert_eq!(changes.recv().await, Ok(told));
    assert_eq!(registry.delete_stream("app", "s1").await, Ok(false));
    assert_eq!(registry.stream("app", "s1").await.unwrap(), None);
    registry.create_stream(stream("s9", Some("d"), "c")).await.unwrap();
}

pub async fn an_application_has_aliases(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    let refused = registry.create_alias("App_1", "app").await;
    assert_eq!(refused, Err(WriteError::NotFound("application")));
    registry.create_application(application("app")).await.unwrap();
    registry.create_application(application("other")).await.unwrap();
    for _ in 0..2 {
        registry.create_alias("App_1", "app").await.unwrap();
    }
    let refused = registry.create_alias("App_1", "other").await;
    assert_eq!(refused, Err(WriteError::Taken("App_1".into())));
    assert_eq!(registry.alias("App_1").await.unwrap().as_deref(), Some("app"));
    assert_eq!(registry.alias("app_1").await.unwrap(), None);
}

pub async fn what_octave_needs_goes_with_its_application(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    registry.create_application(application("app")).await.unwrap();
    registry.create_session(session("a", 0), 9).await.unwrap();
    registry.create_stream(stream("s1", None, "c")).await.unwrap();
    registry.create_alias("App_1", "app").await.unwrap();
    registry.delete_application("app", ANY).await.unwrap();
    assert_eq!(registry.session("a").await.unwrap(), None);
    assert_eq!(registry.alias("App_1").await.unwrap(), None);
    registry.create_application(application("app")).await.unwrap();
    assert!(registry.streams("app", Page::default()).await.unwrap().is_empty());
}
