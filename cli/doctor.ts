import { checklist, need } from "../provider/checks/kernel";
import type { Command } from "./command";
import { hostOf } from "./host";

const signs = { ok: "ok     ", missing: "MISSING", unknown: "?      " };

/**
 * The kernel checklist of a host: read-only, it loads no module by looking. Exit status 1 where something is missing that
 * is always needed, that a ledger asks for, or that `--needs` names.
 */
export const doctor: Command = {
    usage: "    lvs doctor HOST [--needs mh,gue,…] [--json]  what this host's kernel and programs have of LVS",
    async run([target], values) {
        const state = await (await hostOf(target, values)).host.read();
        const asked = [...state.ledger.values()].flatMap(({ owner, claims }) =>
            claims.map(({ kind, key, value }) => ({ owner, kind, key, value })),
        );
        const needs = String(values["needs"] ?? "")
            .split(",")
            .filter((name) => name !== "");
        const items = [...checklist(state, asked), ...needs.map((name) => need(state, name))];
        const bad = items.some(({ state: found, remedy }) => found === "missing" && remedy !== undefined);
        if (values["json"] === true)
            process.stdout.write(`${JSON.stringify({ host: target, ok: !bad, items }, null, 4)}\n`);
        else {
            for (const { item, state: found, found: what, remedy } of items) {
                process.stdout.write(
                    `${signs[found]} ${item}: ${what}${remedy === undefined ? "" : ` -> ${remedy}`}\n`,
                );
            }
        }
        return bad ? 1 : 0;
    },
};
