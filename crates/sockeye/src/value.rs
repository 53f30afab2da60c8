//! Values that several commands take, and what is said of those that cannot be right.

use clap::{Arg, Command, builder::NonEmptyStringValueParser};
use url::Url;

/// Arguments that name something of the server.
const NAMES: &[&str] = &["app", "name", "device", "channel", "group"];

// ----------------------------------------------------------------------------------------------

/// A command and all below it: a name is not empty, for what is meant then is another thing of the server's; what looks like a
/// negative number is taken as a value, so that it is the field that is named.
pub fn check(command: Command) -> Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    let command = command.mut_args(|arg| {
        if is_option(&arg) {
            arg.allow_negative_numbers(true)
        } else if NAMES.contains(&arg.get_id().as_str()) {
            arg.value_parser(NonEmptyStringValueParser::new())
        } else {
            arg
        }
    });
    names
        .into_iter()
        .fold(command, |command, name| command.mut_subcommand(name, check))
}

fn is_option(arg: &Arg) -> bool {
    !arg.is_positional() && arg.get_action().takes_values()
}

/// The address of a server.
pub fn address(text: &str) -> Result<Url, String> {
    text.parse()
        .ok()
        .filter(|url: &Url| matches!(url.scheme(), "http" | "https" | "ws" | "wss") && url.has_host())
        .ok_or_else(|| "give an address such as http://127.0.0.1:8080 or https://events.example.com".to_owned())
}

/// How many of something.
pub fn count(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| "give a whole number that is not negative".to_owned())
}
