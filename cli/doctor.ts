import { checklist, need } from "../provider/checks/kernel";
import { groups } from "../provider/kinds";
import type { HostState } from "../provider/reconcile/state";
import type { Command } from "./command";
import { hostsOf, lookAt, tell, type Values } from "./host";

const signs = { ok: "ok     ", missing: "MISSING", unknown: "?      " };

/**
 * The kernel checklist of hosts: read-only, it loads no module by looking. Exit status 1 where something is missing that
 * is always needed, that a ledger asks for, or that `--needs` names.
 */
export const doctor: Command = {
    usage: "    lvs doctor [HOST…] [--needs mh,gue,…] [--json]\n                                                what these hosts' kernels and programs have of LVS",
    async run(targets, values) {
        const hosts = await hostsOf(targets, values);
        const lists = (await lookAt(hosts, groups)).map(({ name, state, error }) => {
            if (state === undefined) return { host: name, ok: false, error: error.message };
            const items = itemsOf(state, values);
            return { host: name, ok: !items.some((each) => each.state === "missing" && each.remedy), items };
        });
        if (values["json"] === true) {
            // One host that was named is one object.
            const shown = targets.length === 1 ? lists[0] : lists;
            process.stdout.write(`${JSON.stringify(shown, null, 4)}\n`);
        } else {
            for (const { host, items = [], error } of lists) {
                if (error !== undefined) tell(`lvs: ${host} was not looked at: ${error}`);
                else if (hosts.length > 1) process.stdout.write(`${host}\n`);
                for (const { item, state, found, remedy } of items) {
                    process.stdout.write(
                        `${signs[state]} ${item}: ${found}${remedy === undefined ? "" : ` -> ${remedy}`}\n`,
                    );
                }
            }
        }
        return lists.every(({ ok }) => ok) ? 0 : 1;
    },
};

function itemsOf(state: HostState, values: Values) {
    const asked = [...state.ledger.values()].flatMap(({ owner, claims }) =>
        claims.map(({ kind, key, value }) => ({ owner, kind, key, value })),
    );
    const needs = String(values["needs"] ?? "")
        .split(",")
        .filter((name) => name !== "");
    return [...checklist(state, asked), ...needs.map((name) => need(state, name))];
}
