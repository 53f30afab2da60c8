//! Whose a topic is (compat/dojot.md, decision 5): its name begins with that of its tenant and a `.`, upper and lower case alike.

use bytestring::ByteString;

/// Of these tenants the one to whom the topic belongs: if several names match, the longest.
///
/// The original looks at one tenant only, so that `a` reads what belongs to `a.b` (3.3).
pub fn owner_of<'a>(topic: &str, tenants: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let topic = topic.to_lowercase();
    let owns = |tenant: &&str| !tenant.is_empty() && begins_with(&topic, tenant);
    tenants.into_iter().filter(owns).max_by_key(|tenant| tenant.len())
}

/// The tenant in lower case, as applications are called, and what stands behind its `.`. No application has a `.` in its name.
pub(crate) fn split(topic: &str) -> Option<(ByteString, &str)> {
    let (tenant, subject) = topic.split_once('.')?;
    Some((tenant.to_lowercase().into(), subject))
}

/// Whether the text begins with this name, in lower case, and a `.`.
fn begins_with(topic: &str, tenant: &str) -> bool {
    topic
        .strip_prefix(&tenant.to_lowercase())
        .is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_and_their_tenants() {
        for (topic, tenants, owner) in [
            ("t.x", &["t"][..], Some("t")),
            ("T.x", &["t"], Some("t")),
            ("t.x", &["T"], Some("T")),
            ("t.", &["t"], Some("t")),
            ("t", &["t"], None),
            ("tt.x", &["t"], None),
            ("x.t.y", &["t"], None),
            ("a.b.c", &["a"], Some("a")),
            ("a.b.c", &["a", "a.b"], Some("a.b")),
            ("a.b.c", &["a.b", "a"], Some("a.b")),
            ("a.b", &["a.b", "a"], Some("a")),
            (".x", &[""], None),
            ("t+x.y", &["t+x", "t.x"], Some("t+x")),
        ] {
            assert_eq!(
                owner_of(topic, tenants.iter().copied()),
                owner,
                "{topic} of {tenants:?}"
            );
        }
    }
}
