// Administration: everybody's applications, tokens, devices and connections, the audit trail, the keys.
// Each part is a view of its own, named in the address after `#`, with its filter and its page.

import { audit } from "./admin_audit.js";
import { client, clients } from "./admin_clients.js";
import { connections } from "./admin_connections.js";
import { devices } from "./admin_devices.js";
import { keys } from "./admin_keys.js";
import { VIEWS, forbidden } from "./admin_list.js";
import { tokens } from "./admin_tokens.js";
import { holds } from "./account.js";
import { enter, idIn, views } from "./frame.js";

const render = { clients, tokens, devices, connections, audit, keys };

const entered = await enter("admin");
if (entered && entered.account && !holds(entered.account, "ADMINISTRATOR")) {
  forbidden();
} else if (entered) {
  views((name, parameters, isCurrent) => {
    const view = { account: entered.account, parameters, isCurrent };
    if (name.startsWith("client/")) return client({ ...view, id: idIn(name) });
    return render[VIEWS.includes(name) ? name : "clients"](view);
  });
}
