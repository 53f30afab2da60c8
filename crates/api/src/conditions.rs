//! What the platform says of an application in `status.conditions` (compat/drogue.md 2.7): that it can be used. Nothing of it is
//! stored, so that no PUT can take it away.

use serde_json::{Value, json};
use sockeye_registry::Application;

/// Conditions that are the platform's to tell.
const OURS: [&str; 2] = ["Ready", "KafkaReady"];

// ----------------------------------------------------------------------------------------------

/// The application as it is shown: its log is there, or is made by the first event.
pub(crate) fn with_conditions(mut application: Application) -> Application {
    let since = application.metadata.creation_timestamp;
    let ours = OURS.map(|name| json!({"type": name, "status": "True", "lastTransitionTime": since}));
    let theirs = match application.status.remove("conditions") {
        Some(Value::Array(conditions)) => conditions,
        _ => Vec::new(),
    };
    let all = ours.into_iter().chain(theirs).collect();
    application.status.insert("conditions".to_owned(), Value::Array(all));
    application
}

/// The application as it is stored: without what is not its client's to say.
pub(crate) fn without_conditions(mut application: Application) -> Application {
    if let Some(Value::Array(conditions)) = application.status.get_mut("conditions") {
        conditions.retain(|condition| !OURS.iter().any(|name| condition["type"] == *name));
        if conditions.is_empty() {
            application.status.remove("conditions");
        }
    }
    application
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_shown_is_stored_as_it_was() {
        let mut application = Application::named("app", "me");
        for status in [
            json!({}),
            json!({"a": 1}),
            json!({"conditions": [{"type": "Watered", "status": "False"}], "a": 1}),
        ] {
            application.status = status.as_object().unwrap().clone();
            let shown = with_conditions(application.clone());
            let conditions = shown.status["conditions"].as_array().unwrap();
            let told: Vec<_> = conditions
                .iter()
                .map(|condition| condition["type"].as_str().unwrap())
                .collect();
            assert_eq!(told[..2], OURS);
            assert_eq!(conditions[0]["status"], "True");
            assert_eq!(
                conditions[0]["lastTransitionTime"],
                json!(application.metadata.creation_timestamp)
            );
            assert_eq!(without_conditions(shown), application);
        }
    }

    #[test]
    fn a_client_does_not_say_that_it_is_not_ready() {
        let mut application = Application::named("app", "me");
        let lie = json!({"conditions": [{"type": "Ready", "status": "False"}]});
        application.status = lie.as_object().unwrap().clone();
        assert!(without_conditions(application).status.is_empty());
    }
}
