//! Storyden's permissions: held by members through roles, and named by scopes.

use std::fmt;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

/// Makes the enum, its names on the wire and the published order from one list.
macro_rules! permissions {
    ($($variant:ident = $name:literal,)*) => {
        /// One permission. The order is the published one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "the names are Storyden's and say what they permit")]
        pub enum Permission { $($variant,)* }

        impl Permission {
            /// Every permission, in the published order.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name on the wire and in the database.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The permission of a name; names are case-sensitive.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

permissions! {
    CreatePost = "CREATE_POST",
    ReadPublishedThreads = "READ_PUBLISHED_THREADS",
    CreateReaction = "CREATE_REACTION",
    ManagePosts = "MANAGE_POSTS",
    ManageCategories = "MANAGE_CATEGORIES",
    CreateInvitation = "CREATE_INVITATION",
    ReadPublishedLibrary = "READ_PUBLISHED_LIBRARY",
    ManageLibrary = "MANAGE_LIBRARY",
    SubmitLibraryNode = "SUBMIT_LIBRARY_NODE",
    SubmitLibraryNodeChanges = "SUBMIT_LIBRARY_NODE_CHANGES",
    UploadAsset = "UPLOAD_ASSET",
    ManageEvents = "MANAGE_EVENTS",
    ListProfiles = "LIST_PROFILES",
    ReadProfile = "READ_PROFILE",
    CreateCollection = "CREATE_COLLECTION",
    ListCollections = "LIST_COLLECTIONS",
    ReadCollection = "READ_COLLECTION",
    ManageCollections = "MANAGE_COLLECTIONS",
    CollectionSubmit = "COLLECTION_SUBMIT",
    UsePersonalAccessKeys = "USE_PERSONAL_ACCESS_KEYS",
    UseOauthClients = "USE_OAUTH_CLIENTS",
    ManageSettings = "MANAGE_SETTINGS",
    ManageAccounts = "MANAGE_ACCOUNTS",
    ManageWarnings = "MANAGE_WARNINGS",
    ManageSuspensions = "MANAGE_SUSPENSIONS",
    ManageRoles = "MANAGE_ROLES",
    ManageReports = "MANAGE_REPORTS",
    ViewAccounts = "VIEW_ACCOUNTS",
    ViewModerationNotes = "VIEW_MODERATION_NOTES",
    ManageModerationNotes = "MANAGE_MODERATION_NOTES",
    UseRobots = "USE_ROBOTS",
    ManageRobots = "MANAGE_ROBOTS",
    ManageTrails = "MANAGE_TRAILS",
    Administrator = "ADMINISTRATOR",
}

impl Permission {
    /// True if the permission concerns other members, settings or credentials: an application gets such
    /// a permission only if its allowed scope names that permission
    /// (storyden-contract.md#mapping-a-document).
    #[must_use]
    pub const fn is_privileged(self) -> bool {
        matches!(
            self,
            Self::Administrator
                | Self::ManageSettings
                | Self::ManageAccounts
                | Self::ManageRoles
                | Self::ManageReports
                | Self::ManageWarnings
                | Self::ManageSuspensions
                | Self::ViewAccounts
                | Self::ViewModerationNotes
                | Self::ManageModerationNotes
                | Self::UseOauthClients
                | Self::UsePersonalAccessKeys
                | Self::ManageRobots
                | Self::ManageTrails
        )
    }
}

/// A set of permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PermissionSet(u64);

/// Reads a JSON list of names. Unknown names count as not there.
impl<'de> Deserialize<'de> for PermissionSet {
    fn deserialize<D: Deserializer<'de>>(names: D) -> Result<Self, D::Error> {
        names.deserialize_seq(NamesVisitor)
    }
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = PermissionSet;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of names of permissions")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<PermissionSet, A::Error> {
        let mut set = PermissionSet::EMPTY;
        while let Some(NameRead(permission)) = names.next_element()? {
            set = set.union(permission.into_iter().collect());
        }
        Ok(set)
    }
}

/// The permission with a name, read without a copy of the name.
struct NameRead(Option<Permission>);

impl<'de> Deserialize<'de> for NameRead {
    fn deserialize<D: Deserializer<'de>>(name: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl Visitor<'_> for NameVisitor {
            type Value = NameRead;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a permission")
            }

            fn visit_str<E>(self, name: &str) -> Result<NameRead, E> {
                Ok(NameRead(Permission::from_name(name)))
            }
        }
        name.deserialize_str(NameVisitor)
    }
}

impl PermissionSet {
    /// The empty set.
    pub const EMPTY: Self = Self(0);

    /// Permissions of the Member role until an administrator edits the role.
    pub const MEMBER: Self = Self::of(&[
        Permission::CreatePost,
        Permission::ReadPublishedThreads,
        Permission::CreateReaction,
        Permission::ReadPublishedLibrary,
        Permission::SubmitLibraryNode,
        Permission::SubmitLibraryNodeChanges,
        Permission::UploadAsset,
        Permission::ListProfiles,
        Permission::ReadProfile,
        Permission::CreateCollection,
        Permission::ListCollections,
        Permission::ReadCollection,
        Permission::CollectionSubmit,
    ]);

    /// Permissions of the Guest role until an administrator edits the role.
    pub const GUEST: Self = Self::of(&[
        Permission::ReadPublishedThreads,
        Permission::ReadPublishedLibrary,
        Permission::ListProfiles,
        Permission::ReadProfile,
        Permission::ListCollections,
        Permission::ReadCollection,
    ]);

    /// Read-only permissions for content that every member may see
    /// (storyden-contract.md#mapping-a-document).
    pub const READING: Self = Self::GUEST;

    /// Every permission that is not privileged.
    pub const UNPRIVILEGED: Self = Self::unprivileged();

    /// Permissions of the Admin role until an administrator edits the role.
    pub const ADMIN: Self = Self::of(&[Permission::Administrator]);

    /// The set of the given permissions.
    #[must_use]
    pub const fn of(permissions: &[Permission]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < permissions.len() {
            bits |= 1 << permissions[index] as u64;
            index += 1;
        }
        Self(bits)
    }

    const fn unprivileged() -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < Permission::ALL.len() {
            let permission = Permission::ALL[index];
            if !permission.is_privileged() {
                bits |= 1 << permission as u64;
            }
            index += 1;
        }
        Self(bits)
    }

    /// The set of the given names; an unknown name grants nothing.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        names
            .into_iter()
            .filter_map(Permission::from_name)
            .collect()
    }

    /// True if the set contains exactly this permission.
    #[must_use]
    pub fn holds(self, permission: Permission) -> bool {
        self.0 & (1 << permission as u64) != 0
    }

    /// True if the set permits the operation: ADMINISTRATOR permits every operation.
    #[must_use]
    pub fn permits(self, permission: Permission) -> bool {
        self.holds(permission) || self.holds(Permission::Administrator)
    }

    /// The union of two sets.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Limits a token's permissions to the account's: the named permissions that the account holds, or
    /// all named permissions if the account holds ADMINISTRATOR.
    #[must_use]
    pub fn limited_to(self, named: Self) -> Self {
        if self.holds(Permission::Administrator) {
            named
        } else {
            Self(self.0 & named.0)
        }
    }

    /// The members, in the published order.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL
            .iter()
            .copied()
            .filter(move |permission| self.holds(*permission))
    }
}

impl FromIterator<Permission> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        permissions
            .into_iter()
            .fold(Self::EMPTY, |set, one| Self(set.0 | 1 << one as u64))
    }
}
