//! Who asked for an identity, and whether that is one of an owner's subjects.

/// The user that the API server authenticated, as stamped at admission.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Requester {
    /// The user's name, such as `alice@example.com` or `system:serviceaccount:finance:ci`.
    pub username: String,
    /// The user's UID, where the authenticator gives one.
    pub uid: Option<String>,
    /// The user's groups.
    pub groups: Vec<String>,
}

/// The kinds of RBAC subjects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubjectKind {
    /// A user by name.
    User,
    /// Everybody in a group.
    Group,
    /// A service account.
    ServiceAccount,
}

/// An RBAC subject that may act as an owner.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subject {
    /// User, group or service account.
    pub kind: SubjectKind,
    /// Its name.
    pub name: String,
    /// The namespace of a service account.
    pub namespace: Option<String>,
}

impl Subject {
    /// Is `requester` this subject? A `system:` group is nobody: `system:authenticated` would be
    /// everybody.
    pub fn is(&self, requester: &Requester) -> bool {
        match self.kind {
            SubjectKind::User => requester.username == self.name,
            SubjectKind::Group => {
                !self.name.starts_with("system:") && requester.groups.contains(&self.name)
            }
            SubjectKind::ServiceAccount => self.namespace.as_ref().is_some_and(|namespace| {
                requester.username == format!("system:serviceaccount:{namespace}:{}", self.name)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requester(username: &str, groups: &[&str]) -> Requester {
        Requester {
            username: username.to_owned(),
            uid: None,
            groups: groups.iter().map(|&it| it.to_owned()).collect(),
        }
    }

    fn subject(kind: SubjectKind, name: &str, namespace: Option<&str>) -> Subject {
        Subject {
            kind,
            name: name.to_owned(),
            namespace: namespace.map(str::to_owned),
        }
    }

    #[test]
    fn a_subject_is_a_user_a_group_or_a_service_account() {
        let alice = requester("alice", &["finance", "system:authenticated"]);
        assert!(subject(SubjectKind::User, "alice", None).is(&alice));
        assert!(!subject(SubjectKind::User, "finance", None).is(&alice));
        assert!(subject(SubjectKind::Group, "finance", None).is(&alice));
        assert!(!subject(SubjectKind::Group, "system:authenticated", None).is(&alice));
        let robot = requester("system:serviceaccount:ci:deployer", &[]);
        assert!(subject(SubjectKind::ServiceAccount, "deployer", Some("ci")).is(&robot));
        assert!(!subject(SubjectKind::ServiceAccount, "deployer", Some("cd")).is(&robot));
        assert!(!subject(SubjectKind::ServiceAccount, "deployer", None).is(&robot));
    }
}
