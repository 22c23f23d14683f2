// Administration: the overview, members, clients, refresh tokens, device authorizations, remote connections, resources, trusted
// issuers, audit trail, signing keys.
// The fragment of the address names the view with its filter and page.

import { hasPermission } from "./account.js";
import { audit } from "./admin-audit.js";
import { blocked } from "./admin-blocked.js";
import { client, clients } from "./admin-clients.js";
import { connections } from "./admin-connections.js";
import { devices } from "./admin-devices.js";
import { issuers } from "./admin-issuers.js";
import { keys } from "./admin-keys.js";
import { member } from "./admin-member.js";
import { members } from "./admin-members.js";
import { overview } from "./admin-overview.js";
import { VIEWS, renderForbidden } from "./admin-list.js";
import { resources } from "./admin-resources.js";
import { tokens } from "./admin-tokens.js";
import { idFromView, requireSession, startViews } from "./layout.js";

const render = { overview, members, clients, tokens, devices, connections, resources, issuers, audit, keys };

const session = await requireSession("admin");
if (session && session.account && !hasPermission(session.account, "ADMINISTRATOR")) {
  renderForbidden();
} else if (session) {
  startViews((name, parameters, isCurrent) => {
    const view = { account: session.account, parameters, isCurrent };
    if (name.startsWith("client/")) return client({ ...view, id: idFromView(name) });
    if (name.startsWith("member/")) return member({ ...view, id: idFromView(name) });
    if (name === "blocked") return blocked(view);
    return render[VIEWS.includes(name) ? name : "overview"](view);
  });
}
