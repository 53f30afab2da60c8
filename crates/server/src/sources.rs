//! Where settings are given: a TOML file, environment variables, flags. All are read into the same raw form, from the
//! source that counts least to the one that counts most.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::config::ConfigError;
use crate::flags::Flags;
use crate::settings::{SETTINGS, Setting, VARIABLE_PREFIX};

/// What to read.
#[derive(Debug, Default)]
pub struct Sources {
    /// A TOML file.
    pub file: Option<PathBuf>,
    /// Environment variables; those of other programs are passed over.
    pub environment: Vec<(OsString, OsString)>,
    /// Variables that begin with `SOCKEYE_` and belong to other commands.
    pub other_variables: BTreeSet<String>,
    /// Flags of `serve`.
    pub flags: Flags,
}

/// A value as it was given.
pub(crate) struct Given {
    pub(crate) setting: &'static Setting,
    pub(crate) text: String,
    pub(crate) origin: Origin,
}

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    File { path: PathBuf, line: usize, key: String },
    Variable(String),
    Flag(String),
}

/// What Kubernetes sets in every container when there is a service named `sockeye`: not meant for us.
const FOREIGN_VARIABLES: &[&str] = &["SOCKEYE_SERVICE_", "SOCKEYE_PORT"];

/// Names that differ in more letters than this are not suggested.
const ALIKE: usize = 2;

// ----------------------------------------------------------------------------------------------

impl Sources {
    /// All that is given for settings that are known, and all that is wrong.
    pub(crate) fn read(&self) -> (Vec<Given>, Vec<ConfigError>) {
        let (mut given, mut errors) = (Vec::new(), Vec::new());
        if let Some(path) = &self.file {
            match std::fs::read_to_string(path) {
                Ok(text) => read_file(path, &text, &mut given, &mut errors),
                Err(error) => errors.push(ConfigError::File {
                    path: path.clone(),
                    reason: error.to_string(),
                }),
            }
        }
        self.read_environment(&mut given, &mut errors);
        given.extend(self.flags.given().map(|(setting, text)| Given {
            setting,
            text: text.to_owned(),
            origin: Origin::Flag(setting.flag()),
        }));
        (given, errors)
    }

    fn read_environment(&self, given: &mut Vec<Given>, errors: &mut Vec<ConfigError>) {
        for (variable, text) in &self.environment {
            let Some(variable) = variable.to_str().filter(|name| name.starts_with(VARIABLE_PREFIX)) else {
                continue;
            };
            let foreign = || FOREIGN_VARIABLES.iter().any(|prefix| variable.starts_with(prefix));
            let variable = variable.to_owned();
            // Other commands may read it too.
            let Some(setting) = SETTINGS.iter().find(|setting| setting.variable() == variable) else {
                if foreign() || self.other_variables.contains(&variable) {
                    continue;
                }
                let suggestion = alike(&variable, SETTINGS.iter().map(Setting::variable));
                errors.push(ConfigError::Unknown {
                    origin: Origin::Variable(variable),
                    suggestion,
                });
                continue;
            };
            match text.to_str() {
                Some(text) => {
                    given.push(Given {
                        setting,
                        text: text.to_owned(),
                        origin: Origin::Variable(variable),
                    });
                }
                None => errors.push(ConfigError::NotUtf8 { variable }),
            }
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, key } => write!(f, "{}:{line}: {key}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

fn read_file(path: &Path, text: &str, given: &mut Vec<Given>, errors: &mut Vec<ConfigError>) {
    let line_of = |at: usize| text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
    let (document, wrong) = DeTable::parse_recoverable(text);
    errors.extend(wrong.into_iter().map(|error| ConfigError::Syntax {
        path: path.to_owned(),
        line: line_of(error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
    }));
    let mut leaves = Vec::new();
    flatten("", document.get_ref(), text, &mut leaves);
    leaves.sort_by_key(|(_, at, _)| *at); // the order of the file, for whoever reads the errors
    for (key, at, text) in leaves {
        let origin = Origin::File {
            path: path.to_owned(),
            line: line_of(at),
            key: key.clone(),
        };
        if let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) {
            given.push(Given { setting, text, origin });
        } else {
            let suggestion = alike(&key, SETTINGS.iter().map(|setting| setting.key.to_owned()));
            errors.push(ConfigError::Unknown { origin, suggestion });
        }
    }
}

/// All values of a table and its tables: key, place in the text, value. What is no scalar stays as it is written: no setting
/// allows it.
fn flatten(prefix: &str, table: &DeTable<'_>, text: &str, leaves: &mut Vec<(String, usize, String)>) {
    for (name, value) in table {
        let key = format!("{prefix}{}", name.get_ref());
        let written = match value.get_ref() {
            DeValue::Table(inner) => {
                flatten(&format!("{key}."), inner, text, leaves);
                continue;
            }
            DeValue::String(string) => string.to_string(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
            _ => text.get(value.span()).unwrap_or_default().to_owned(),
        };
        leaves.push((key, name.span().start, written));
    }
}

fn alike(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    known
        .map(|known| (strsim::damerau_levenshtein(name, &known), known))
        .filter(|(letters, _)| *letters <= ALIKE)
        .min_by_key(|(letters, _)| *letters)
        .map(|(_, known)| known)
}
