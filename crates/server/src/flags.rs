//! The settings as flags of the command line, made from the table.

use clap::builder::NonEmptyStringValueParser;
use clap::{Arg, ArgMatches, Command};

use crate::settings::{SETTINGS, Setting};

/// The flags that were given. `#[command(flatten)]` puts them into a derived command; they are checked together with the
/// other sources by [`crate::Config::read`].
#[derive(Clone, Debug, Default)]
pub struct Flags(Vec<(&'static str, String)>);

// ----------------------------------------------------------------------------------------------

impl Flags {
    pub(crate) fn given(&self) -> impl Iterator<Item = (&'static Setting, &str)> {
        self.0.iter().filter_map(|(key, text)| {
            let setting = SETTINGS.iter().find(|setting| setting.key == *key)?;
            Some((setting, text.as_str()))
        })
    }
}

impl clap::Args for Flags {
    fn augment_args(command: Command) -> Command {
        SETTINGS.iter().fold(command, |command, setting| {
            let help = format!(
                "{} [default: {}] [env: {}]",
                setting.doc,
                setting.default,
                setting.variable()
            );
            let last = setting.key.rsplit('.').next().unwrap_or(setting.key);
            command.arg(
                Arg::new(setting.key)
                    .long(setting.flag())
                    .value_name(last.to_uppercase())
                    .value_parser(NonEmptyStringValueParser::new())
                    .overrides_with(setting.key) // given twice, the last one counts: a script can append to a command
                    .allow_hyphen_values(true)
                    .help_heading("Settings")
                    .long_help(format!("{help}\n\nValue: {}.", setting.allowed))
                    .help(help),
            )
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |setting: &Setting| Some((setting.key, matches.get_one::<String>(setting.key)?.clone()));
        Ok(Self(SETTINGS.iter().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
