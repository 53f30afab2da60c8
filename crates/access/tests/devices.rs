//! Devices: the table of compat/drogue.md 5.1, gateways, and what is remembered.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod common;

use common::{Watched, login};
use serde_json::{Value, json};
use sockeye_access::{DeviceError, Devices};
use sockeye_limits as limits;
use sockeye_registry::{Device, Preconditions, Registry};
use tokio::task::JoinSet;

/// The password `U*U`, from the tests of OpenBSD's bcrypt.
const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

fn pass(password: &str) -> Value {
    json!({"authentication": {"credentials": [{"pass": password}]}})
}

/// `?application=` and `?device=`.
type Query = (Option<&'static str>, Option<&'static str>);

/// Who publishes through whom: `device/sender`, or why not.
async fn who(
    devices: &Devices,
    (application, device): Query,
    basic: &str,
    publish_as: Option<&str>,
) -> Result<String, DeviceError> {
    let publisher = devices
        .authenticate(&login(application, device, basic), publish_as)
        .await?;
    Ok(format!("{}/{}", publisher.device.name, publisher.sender.name))
}

#[tokio::test]
async fn the_credentials_of_the_table() {
    let registry = Watched::new();
    registry.put_application("app", json!({})).await;
    registry
        .put_application("off", json!({"core": {"disabled": true}}))
        .await;
    registry.put_application("broken", json!({"core": 1})).await;
    let spec = json!({
        "alias": ["alias", "al@ias"],
        "authentication": {"credentials": [
            {"pass": "p1"}, {"pass": {"plain": "p2"}}, {"pass": {"bcrypt": BCRYPT}},
            {"user": {"username": "unique", "password": "pu", "unique": true}},
            {"user": {"username": "user", "password": "ps"}},
            {"user": {"username": "dev", "password": "pd"}},
            {"psk": {"key": "AAAA"}},
        ]},
    });
    for application in ["app", "off", "broken"] {
        registry.put_device(application, "dev", spec.clone()).await;
    }
    registry
        .put_device(
            "app",
            "off",
            json!({"core": {"disabled": true}, "credentials": {"credentials": [{"pass": "p1"}]}}),
        )
        .await;
    registry
        .put_device(
            "app",
            "bad",
            json!({"authentication": {"credentials": [{"pass": "p1"}, {"password": "p1"}]}}),
        )
        .await;
    registry
        .put_device(
            "app",
            "older",
            json!({"credentials": {"credentials": [{"pass": "p1"}]}}),
        )
        .await;
    registry.put_device("app", "none", json!({})).await;
    let costly = BCRYPT.replace("$05$", "$31$");
    registry
        .put_device(
            "app",
            "costly",
            json!({"credentials": {"credentials": [{"pass": {"bcrypt": costly}}, {"pass": "p1"}]}}),
        )
        .await;
    let devices = Devices::new(registry.clone());

    let in_name = (None, None);
    let in_query = (Some("app"), None);
    let both = (Some("app"), Some("dev"));
    let device_only = (None, Some("alias"));
    let rows: &[(Query, &str, Option<&str>)] = &[
        (in_name, "dev@app:p1", Some("dev")),
        (in_name, "dev@app:p2", Some("dev")),
        (in_name, "dev@app:U*U", Some("dev")),
        (in_name, "dev@app:pd", Some("dev")),
        (in_name, "dev@app:pu", None),
        (in_name, "dev@app:ps", None),
        (in_name, "dev@app:p3", None),
        (in_name, "alias@app:p1", Some("dev")),
        (in_name, "al%40ias@app:p1", Some("dev")),
        (in_name, "unique@app:pu", Some("dev")),
        (in_name, "unique@app:p1", Some("dev")),
        (in_name, "user@app:ps", None),
        (in_name, "nobody@app:p1", None),
        (in_name, "dev@nowhere:p1", None),
        (in_name, "dev@off:p1", None),
        (in_name, "dev@broken:p1", None),
        (in_name, "off@app:p1", None),
        (in_name, "bad@app:p1", None),
        (in_name, "older@app:p1", Some("older")),
        (in_name, "none@app:p1", None),
        (in_name, "costly@app:p1", Some("costly")),
        (in_name, "costly@app:U*U", None),
        (in_query, "dev:p1", Some("dev")),
        (in_query, "al@ias:p1", Some("dev")),
        (in_query, "dev@app:p1", None),
        (in_query, "unique:pu", Some("dev")),
        (both, "user:ps", Some("dev")),
        (both, "unique:pu", Some("dev")),
        (both, "dev:p1", Some("dev")),
        (both, "dev:pd", Some("dev")),
        (both, "user:p1", None),
        (both, "alias:p1", None),
        (both, "user:pu", None),
        (both, ":p1", None),
        (device_only, "user@app:ps", Some("dev")),
        (device_only, "us%65r@app:ps", Some("dev")),
        (device_only, "alias@app:p1", None),
        ((Some("app"), Some("nobody")), "user:ps", None),
    ];
    // The second time most of it is remembered.
    for _ in 0..2 {
        for (query, basic, device) in rows {
            let expected = device
                .map(|device| format!("{device}/{device}"))
                .ok_or(DeviceError::Denied);
            assert_eq!(who(&devices, *query, basic, None).await, expected, "{query:?} {basic}");
        }
    }
}

#[tokio::test]
async fn a_gateway_publishes_as_those_who_name_it() {
    let registry = Watched::new();
    registry.put_application("app", json!({})).await;
    let mut gateway = pass("pw");
    gateway["alias"] = json!(["other-name"]);
    registry.put_device("app", "gateway", gateway).await;
    let lists = |names: &[&str]| json!({"gatewaySelector": {"matchNames": names}, "alias": []});
    registry
        .put_device(
            "app",
            "child",
            json!({"gatewaySelector": {"matchNames": ["x", "gateway"]}, "alias": ["kid"]}),
        )
        .await;
    registry.put_device("app", "foreign", lists(&["x"])).await;
    registry.put_device("app", "by-alias", lists(&["other-name"])).await;
    registry.put_device("app", "plain", json!({})).await;
    let mut disabled = lists(&["gateway"]);
    disabled["core"] = json!({"disabled": true});
    registry.put_device("app", "disabled", disabled).await;
    let devices = Devices::new(registry.clone());

    let denied = Err(DeviceError::Denied);
    let rows = [
        (None, Ok("gateway/gateway")),
        (Some("gateway"), Ok("gateway/gateway")),
        (Some("other-name"), Ok("gateway/gateway")),
        (Some("child"), Ok("child/gateway")),
        (Some("kid"), Ok("child/gateway")),
        (Some("foreign"), denied.clone()),
        (Some("by-alias"), denied.clone()),
        (Some("plain"), denied.clone()),
        (Some("disabled"), denied.clone()),
        (Some("nobody"), denied.clone()),
        (Some(""), denied.clone()),
    ];
    for (publish_as, expected) in rows {
        let found = who(&devices, (None, None), "gateway@app:pw", publish_as).await;
        assert_eq!(found, expected.map(str::to_owned), "{publish_as:?}");
        let wrong = who(&devices, (None, None), "gateway@app:wrong", publish_as).await;
        assert_eq!(wrong, Err(DeviceError::Denied), "{publish_as:?}");
    }
    assert_eq!(
        who(&devices, (None, None), "other-name@app:pw", Some("gateway"))
            .await
            .unwrap(),
        "gateway/gateway"
    );
}

#[tokio::test]
async fn publisher_has_the_uids_of_the_registry() {
    let registry = Watched::new();
    registry.put_application("app", json!({})).await;
    registry.put_device("app", "gateway", pass("pw")).await;
    registry
        .put_device("app", "child", json!({"gatewaySelector": {"matchNames": ["gateway"]}}))
        .await;
    let devices = Devices::new(registry.clone());
    let found = devices
        .authenticate(&login(None, None, "gateway@app:pw"), Some("child"))
        .await
        .unwrap();
    let application = registry.application("app").await.unwrap().unwrap();
    assert_eq!(found.application.uid, application.metadata.uid.to_string());
    for (identity, name) in [(&found.device, "child"), (&found.sender, "gateway")] {
        let device = registry.device("app", name).await.unwrap().unwrap();
        assert_eq!(
            (&*identity.name, &*identity.uid),
            (name, device.metadata.uid.to_string().as_str())
        );
    }
}

#[tokio::test]
async fn who_publishes_often_is_not_looked_up_again() {
    let registry = Watched::new();
    registry.put_application("app", json!({})).await;
    registry
        .put_device(
            "app",
            "dev",
            json!({"alias": ["alias"], "credentials": {"credentials": [{"pass": "pw"}]}}),
        )
        .await;
    let devices = Devices::new(registry.clone());
    for name in ["dev", "alias"] {
        let basic = format!("{name}@app:pw");
        who(&devices, (None, None), &basic, None).await.unwrap();
        assert!(registry.reads() > 0, "{name}");
        for _ in 0..100 {
            who(&devices, (None, None), &basic, None).await.unwrap();
            who(&devices, (None, None), &format!("{name}@app:guess"), None)
                .await
                .unwrap_err();
        }
        assert_eq!(registry.reads(), 0, "{name}");
    }
    // Changes of others make no difference.
    registry.put_application("other", json!({})).await;
    registry.put_device("other", "dev", pass("pw")).await;
    registry.put_device("app", "other", pass("pw")).await;
    who(&devices, (None, None), "alias@app:pw", None).await.unwrap();
    assert_eq!(registry.reads(), 0);
    // Names that are not there are asked for each time, and push nothing out.
    for _ in 0..2 {
        who(&devices, (None, None), "nobody@app:pw", None).await.unwrap_err();
        assert_eq!(registry.reads(), 1);
        who(&devices, (None, None), "dev@nowhere:pw", None).await.unwrap_err();
        assert_eq!(registry.reads(), 1);
    }
}

#[tokio::test]
async fn what_was_changed_counts_for_the_next_request() {
    let registry = Watched::new();
    registry.put_application("app", json!({})).await;
    registry.put_device("app", "dev", pass("old")).await;
    let devices = Devices::new(registry.clone());
    let ok = async |basic: &str| who(&devices, (None, None), basic, None).await.is_ok();
    let pre = Preconditions::default();

    assert!(ok("dev@app:old").await && !ok("new@app:old").await);
    registry
        .put_device(
            "app",
            "dev",
            json!({"alias": ["new"], "credentials": {"credentials": [{"pass": "new"}]}}),
        )
        .await;
    assert!(
        !ok("dev@app:old").await && ok("dev@app:new").await && ok("new@app:new").await,
        "credentials and aliases"
    );
    registry.put_device("app", "dev", pass("new")).await;
    assert!(
        !ok("new@app:new").await && ok("dev@app:new").await,
        "an alias that was taken away"
    );
    registry
        .put_device(
            "app",
            "second",
            json!({"alias": ["new"], "credentials": {"credentials": [{"pass": "2"}]}}),
        )
        .await;
    assert!(
        ok("new@app:2").await && !ok("new@app:new").await,
        "an alias that another got"
    );
    registry.delete_device("app", "dev", pre).await.unwrap();
    assert!(!ok("dev@app:new").await, "a deleted device");

    registry
        .put_application("app", json!({"core": {"disabled": true}}))
        .await;
    assert!(!ok("second@app:2").await, "a disabled application");
    registry.put_application("app", json!({})).await;
    assert!(ok("second@app:2").await, "and enabled again");
    registry.delete_application("app", pre).await.unwrap();
    assert!(!ok("second@app:2").await, "a deleted application");
    registry.put_application("app", json!({})).await;
    assert!(
        !ok("second@app:2").await && !ok("new@app:2").await,
        "its devices do not come back with the name"
    );
    registry.put_device("app", "second", pass("3")).await;
    assert!(ok("second@app:3").await && !ok("second@app:2").await);
}

#[tokio::test]
async fn what_is_loaded_while_it_changes_is_not_remembered() {
    for what in ["application", "device"] {
        let registry = Watched::new();
        registry.put_application("app", json!({})).await;
        registry.put_device("app", "dev", pass("old")).await;
        let devices = Devices::new(registry.clone());
        if what == "device" {
            who(&devices, (None, None), "nobody@app:old", None).await.unwrap_err();
        }
        let (reached, go) = registry.hold();
        let change = async {
            reached.await.unwrap();
            if what == "application" {
                registry
                    .put_application("app", json!({"core": {"disabled": true}}))
                    .await;
            } else {
                registry.put_device("app", "dev", pass("new")).await;
            }
            // Another request takes the change in before the held one goes on.
            who(&devices, (None, None), "dev@nowhere:pw", None).await.unwrap_err();
            go.send(()).unwrap();
        };
        let early = who(&devices, (None, None), "dev@app:old", None);
        // The request that began before the change may see what was then.
        assert!(tokio::join!(early, change).0.is_ok(), "{what}");
        assert_eq!(
            who(&devices, (None, None), "dev@app:old", None).await,
            Err(DeviceError::Denied),
            "{what}"
        );
    }
}

#[tokio::test]
async fn who_missed_changes_forgets_everything() {
    let registry = Watched::new();
    registry.put_application("app", json!({})).await;
    registry.put_device("app", "dev", pass("old")).await;
    let devices = Devices::new(registry.clone());
    who(&devices, (None, None), "dev@app:old", None).await.unwrap();
    registry.put_device("app", "dev", pass("new")).await;
    for group in 0..=limits::CHANGE_QUEUE / 64 {
        let mut at_once = JoinSet::new();
        for one in 0..64 {
            let registry = registry.clone();
            at_once.spawn(async move { registry.put_device("app", &format!("{group}-{one}"), json!({})).await });
        }
        at_once.join_all().await;
    }
    assert_eq!(
        who(&devices, (None, None), "dev@app:old", None).await,
        Err(DeviceError::Denied)
    );
    who(&devices, (None, None), "dev@app:new", None).await.unwrap();
    registry.reads();
    who(&devices, (None, None), "dev@app:new", None).await.unwrap();
    assert_eq!(registry.reads(), 0, "and remembers again");
}

/// What finalizers hold publishes no more, although it is still there (compat/drogue.md 5.1).
#[tokio::test]
async fn what_is_being_deleted_publishes_no_more() {
    let registry = Watched::new();
    let devices = Devices::new(registry.clone());
    let publishes = async |application, login| who(&devices, (Some(application), None), login, None).await.is_ok();
    for application in ["app", "gone"] {
        registry.put_application(application, json!({})).await;
        registry.put_device(application, "free", pass("p")).await;
        let mut held = Device::named(application, "held");
        held.spec = pass("p").as_object().unwrap().clone();
        held.metadata.finalizers = vec!["mine".into()];
        registry.create_device(held).await.unwrap();
        for login in ["held:p", "free:p"] {
            assert!(publishes(application, login).await, "{application} {login}");
        }
    }
    let any = Preconditions::default();
    registry.delete_device("app", "held", any).await.unwrap();
    assert!(registry.device("app", "held").await.unwrap().is_some());
    assert!(!publishes("app", "held:p").await);
    assert!(publishes("app", "free:p").await);
    registry.delete_application("gone", any).await.unwrap();
    assert!(registry.application("gone").await.unwrap().is_some());
    assert!(!publishes("gone", "held:p").await);
}
