/**
 * The module whose path stands in users' states (`require("pulumi-lvs/dynamic").director`): public API for ever. What a
 * state of any version asks of it must go on working.
 */

import { fstatSync } from "node:fs";
import { settled } from "../reconcile/host";
import { director as directorResource } from "../resources/director";
import { realServer as realServerResource } from "../resources/realServer";
import { virtualService as virtualServiceResource } from "../resources/virtualService";
import { closeAll } from "../ssh/session";
import { handlerOf } from "./handler";

export const director = handlerOf(directorResource);
export const virtualService = handlerOf(virtualServiceResource);
export const realServer = handlerOf(realServerResource);

/** What is under way on a host is let end; then the process ends. */
function end(status: number): void {
    void settled()
        .then(closeAll)
        .finally(() => process.exit(status));
}

// The engine interrupts its plugins and ends them a little later.
process.once("SIGINT", () => end(130));
process.once("SIGTERM", () => end(143));

// An engine that was killed sends no signal; but it held the other end of our standard input.
const isProvider = /[\\/]dynamic-provider[\\/]/.test(process.argv[1] ?? "");
const input = fstatSync(0);
if (isProvider && (input.isFIFO() || input.isSocket())) process.stdin.once("end", () => end(1)).resume();
