//! What the application's rules make of a command before it is kept (compat/drogue.md 2.8): it is to them as the event that it was in
//! Drogue Cloud, with its name as the subject.

use bytestring::ByteString;
use sockeye_event::event::{TYPE_EVENT, extension};
use sockeye_event::{Event, Value};
use sockeye_policy::{Policy, Verdict};
use sockeye_registry::Command;

use crate::error::ApiError;

/// Does to the command what the rules say; whether it is to be kept. What is dropped is told nobody.
pub(super) fn obey(policy: &Policy, command: &mut Command) -> Result<bool, ApiError> {
    if policy.command.is_empty() {
        return Ok(true);
    }
    let mut event = event(command);
    match policy.command.apply(&mut event) {
        Verdict::Accepted => {}
        Verdict::Dropped => return Ok(false),
        Verdict::Rejected(reason) if reason.is_empty() => {
            let reason = "a rule of the application rejects the command";
            return Err(ApiError::NotAcceptable(reason.to_owned()));
        }
        Verdict::Rejected(reason) => return Err(ApiError::NotAcceptable(reason.to_string())),
    }
    let name = event.subject.filter(|name| super::is_name(name));
    let name = name.ok_or_else(|| {
        let problem = "the rules of the application (`spec.command.rules`) leave the command no name that can be sent";
        ApiError::NotAcceptable(problem.to_owned())
    })?;
    command.name = name.to_string();
    command.content_type = event.data_content_type.map(|text| text.to_string());
    Ok(true)
}

fn event(command: &Command) -> Event {
    let text = |text: &str| ByteString::from(text);
    let extensions = [
        (extension::APPLICATION, &command.application),
        (extension::DEVICE, &command.device),
        (extension::SENDER, &command.device),
    ];
    Event {
        id: command.id.to_string().into(),
        source: format!("drogue://{}/{}", command.application, command.device).into(),
        ty: ByteString::from_static(TYPE_EVENT),
        data_content_type: command.content_type.as_deref().map(text),
        data_schema: None,
        subject: Some(text(&command.name)),
        time: Some(command.made),
        extensions: extensions
            .map(|(name, value)| (ByteString::from_static(name), Value::String(text(value))))
            .into(),
        data: Some(command.payload.clone()),
    }
}
