//! How applications change hands.

use super::{ANY, Fixture, application};
use crate::{Change, Preconditions, WriteError};

pub async fn an_application_changes_hands_once_it_is_accepted(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    let made = registry.create_application(application("app")).await.unwrap();
    let mut changes = registry.changes();
    let offered = registry.offer_application("app", Some("eve")).await.unwrap();
    assert_eq!(
        (offered.owner.as_str(), offered.offered_to.as_deref()),
        ("owner", Some("eve"))
    );
    assert_ne!(offered.metadata.resource_version, made.metadata.resource_version);
    assert_eq!(
        registry.offer_application("app", Some("eve")).await,
        Ok(offered.clone())
    );
    fixture.restart().await;
    let registry = fixture.registry();
    assert_eq!(registry.application("app").await.unwrap(), Some(offered.clone()));

    let stale = Preconditions {
        resource_version: Some(made.metadata.resource_version),
        ..ANY
    };
    let refused = registry.update_application(application("app"), stale).await;
    assert_eq!(refused, Err(WriteError::Precondition("application")));
    let taken = registry.accept_application("app", "eve").await.unwrap();
    assert_eq!((taken.owner.as_str(), &taken.offered_to), ("eve", &None));
    assert_ne!(taken.metadata.resource_version, offered.metadata.resource_version);
    assert_eq!(registry.application("app").await.unwrap(), Some(taken));
    assert_eq!(changes.recv().await, Ok(Change::Application("app".into())));
}

pub async fn an_offer_is_for_one_and_can_be_withdrawn(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    let gone = || WriteError::NotFound("application");
    assert_eq!(registry.offer_application("app", Some("eve")).await, Err(gone()));
    assert_eq!(registry.accept_application("app", "eve").await, Err(gone()));
    let made = registry.create_application(application("app")).await.unwrap();
    // Nobody is nobody's heir.
    for by in ["eve", "owner", ""] {
        assert_eq!(registry.accept_application("app", by).await, Err(gone()), "{by}");
    }
    assert_eq!(
        registry.offer_application("app", None).await,
        Ok(made.clone()),
        "nothing changed"
    );
    registry.offer_application("app", Some("eve")).await.unwrap();
    registry.offer_application("app", Some("bob")).await.unwrap();
    for by in ["eve", "owner", ""] {
        assert_eq!(registry.accept_application("app", by).await, Err(gone()), "{by}");
    }
    let withdrawn = registry.offer_application("app", None).await.unwrap();
    assert_eq!(withdrawn.offered_to, None);
    assert_eq!(registry.accept_application("app", "bob").await, Err(gone()));
    let mut as_it_was = withdrawn;
    as_it_was.metadata.resource_version = made.metadata.resource_version;
    assert_eq!(as_it_was, made);
}
