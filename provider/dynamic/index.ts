/**
 * The module whose path stands in users' states (`require("pulumi-lvs/dynamic").director`): public API for ever. What a
 * state of any version asks of it must go on working.
 */

import { settled } from "../reconcile/host";
import { director as directorResource } from "../resources/director";
import { realServer as realServerResource } from "../resources/realServer";
import { virtualService as virtualServiceResource } from "../resources/virtualService";
import { closeAll } from "../ssh/session";
import { handlerOf } from "./handler";

export const director = handlerOf(directorResource);
export const virtualService = handlerOf(virtualServiceResource);
export const realServer = handlerOf(realServerResource);

// The engine interrupts its plugins and ends them a little later: what is under way on a host is let end.
for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
        void settled()
            .then(closeAll)
            .finally(() => process.exit(signal === "SIGINT" ? 130 : 143));
    });
}
