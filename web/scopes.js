// What each scope means, in words for the person who is asked. The order is the order on the
// page: what could do most harm comes first.

/** A group's `risk` is "all" (everything), "high" (reaches far), "some"
 *  (changes what others made) or "none". */
const GROUPS = [
  {
    title: "Full control of the community",
    risk: "all",
    scopes: {
      ADMINISTRATOR:
        "Do everything an administrator can: read, change and delete all content, people, roles and settings",
    },
  },
  {
    title: "Far-reaching permissions",
    risk: "high",
    scopes: {
      MANAGE_SETTINGS: "Change the settings of the community",
      MANAGE_ACCOUNTS: "Change the accounts of members",
      MANAGE_ROLES: "Create and change roles, and give them to members",
      MANAGE_SUSPENSIONS: "Suspend members and reinstate them",
      MANAGE_WARNINGS: "Warn members",
      MANAGE_REPORTS: "Read and decide reports about content and members",
      VIEW_ACCOUNTS: "See private details of all members, such as e-mail addresses",
      VIEW_MODERATION_NOTES: "Read the moderators' notes about members",
      MANAGE_MODERATION_NOTES: "Write and delete the moderators' notes about members",
      USE_OAUTH_CLIENTS: "Let further applications into your account",
      USE_PERSONAL_ACCESS_KEYS: "Create access keys to your account, which keep working after this access ends",
      MANAGE_ROBOTS: "Create and change robots, and connect other services",
    },
  },
  {
    title: "Who you are",
    risk: "none",
    scopes: {
      openid: "Recognize you by your account id",
      profile: "See your name and handle",
      email: "See your e-mail address",
      offline_access: "Keep this access while you are away, until it is revoked",
    },
  },
  {
    title: "Change what others made",
    risk: "some",
    scopes: {
      MANAGE_POSTS: "Edit and delete the threads and replies of others",
      MANAGE_CATEGORIES: "Create, change and delete categories",
      MANAGE_LIBRARY: "Edit, publish and delete any page of the library",
      MANAGE_EVENTS: "Create, change and delete events",
      MANAGE_COLLECTIONS: "Change and delete the collections of others",
      MANAGE_TRAILS: "Create, change and delete trails",
    },
  },
  {
    title: "Write in your name",
    risk: "none",
    scopes: {
      CREATE_POST: "Write threads and replies",
      CREATE_REACTION: "React to posts",
      UPLOAD_ASSET: "Upload pictures and files",
      SUBMIT_LIBRARY_NODE: "Propose new pages for the library",
      SUBMIT_LIBRARY_NODE_CHANGES: "Propose changes to pages of the library",
      CREATE_COLLECTION: "Create collections",
      COLLECTION_SUBMIT: "Propose items for collections",
      CREATE_INVITATION: "Invite new members",
      USE_ROBOTS: "Talk to the community's robots",
    },
  },
  {
    title: "Read",
    risk: "none",
    scopes: {
      READ_PUBLISHED_THREADS: "Read threads",
      READ_PUBLISHED_LIBRARY: "Read the library",
      LIST_PROFILES: "List members",
      READ_PROFILE: "Read the profiles of members",
      LIST_COLLECTIONS: "List collections",
      READ_COLLECTION: "Read collections",
    },
  },
];

/** The given scopes as `[{ title, risk, scopes: [{ name, words }] }]`, without empty groups. */
export function grouped(names) {
  const wanted = new Set(names);
  const groups = [];
  for (const { title, risk, scopes } of GROUPS) {
    const found = Object.keys(scopes).filter((name) => wanted.delete(name));
    if (found.length > 0) {
      groups.push({ title, risk, scopes: found.map((name) => ({ name, words: scopes[name] })) });
    }
  }
  if (wanted.size > 0) {
    const scopes = [...wanted].map((name) => ({ name, words: `Something this page has no words for: ${name}` }));
    groups.push({ title: "Other", risk: "high", scopes });
  }
  return groups;
}

/** Those of the given scopes that reach far. */
export function privileged(names) {
  return grouped(names)
    .filter(({ risk }) => risk === "all" || risk === "high")
    .flatMap(({ scopes }) => scopes.map(({ name }) => name));
}

/** One scope in words. */
export function words(name) {
  return grouped([name])[0].scopes[0].words;
}
