import { checklist } from "../provider/checks/kernel";
import type { Command } from "./command";
import { hostOf } from "./host";

const signs = { ok: "ok     ", missing: "MISSING", unknown: "?      " };

/** The kernel checklist of a host. Exit status 1 where something that is always needed is missing. */
export const doctor: Command = {
    usage: "    lvs doctor HOST [--json]                    what this host's kernel and programs have of LVS",
    async run([target], values) {
        const items = checklist(await (await hostOf(target, values)).host.read());
        const bad = items.some(({ state, remedy }) => state === "missing" && remedy !== undefined);
        if (values["json"] === true)
            process.stdout.write(`${JSON.stringify({ host: target, ok: !bad, items }, null, 4)}\n`);
        else {
            for (const { item, state, found, remedy } of items) {
                process.stdout.write(
                    `${signs[state]} ${item}: ${found}${remedy === undefined ? "" : ` -> ${remedy}`}\n`,
                );
            }
        }
        return bad ? 1 : 0;
    },
};
