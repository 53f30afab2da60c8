//! The operators.

/// How a field is compared (compat/dojot.md, decision 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `eq`, also if none is given: the same number.
    Eq,
    /// `neq`: a number, but another one.
    Neq,
    /// `gt`: a greater number.
    Gt,
    /// `gte`: a number at least as great.
    Gte,
    /// `lt`: a lesser number.
    Lt,
    /// `lte`: a number at most as great.
    Lte,
    /// `in`: some of the texts is contained in the field's.
    In,
    /// `nin`: none of them is, or there is no text.
    Nin,
    /// `bool`: true or false.
    Bool,
    /// `is`: the field's text is one of these.
    Is,
    /// `re`: the field's text matches a regular expression.
    Re,
    /// `has`: the field is there, or is not.
    Has,
}

// ----------------------------------------------------------------------------------------------

impl Operator {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Eq,
        Self::Neq,
        Self::Gt,
        Self::Gte,
        Self::Lt,
        Self::Lte,
        Self::In,
        Self::Nin,
        Self::Bool,
        Self::Is,
        Self::Re,
        Self::Has,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Neq => "neq",
            Self::Gt => "gt",
            Self::Gte => "gte",
            Self::Lt => "lt",
            Self::Lte => "lte",
            Self::In => "in",
            Self::Nin => "nin",
            Self::Bool => "bool",
            Self::Is => "is",
            Self::Re => "re",
            Self::Has => "has",
        }
    }

    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operator| operator.name() == name)
    }

    /// Whether it takes more than one value.
    pub(crate) fn takes_many(self) -> bool {
        matches!(self, Self::In | Self::Nin | Self::Is)
    }
}
