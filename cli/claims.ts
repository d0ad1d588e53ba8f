import { groups, kindOf } from "../provider/kinds";
import type { Host } from "../provider/reconcile/host";
import { describeOwner, type LedgerFile } from "../provider/reconcile/ledger";
import { type Plan, plan, project, satisfied, show } from "../provider/reconcile/plan";
import { type HostState, valueAt } from "../provider/reconcile/state";
import type { Command } from "./command";
import { hostOf, Usage } from "./host";

/** What a host's ledger claims, and the way out for a file that no stack knows any more. */
export const claims: Command = {
    usage:
        "    lvs claims list HOST [--json]               what is declared on this host, by whom, and whether it is so\n" +
        "    lvs claims release HOST FILE [--restore]    forget a ledger file; --restore also undoes what it claims",
    async run([verb, target, file], values) {
        if (target === undefined) throw new Usage("lvs claims: list HOST, or release HOST FILE [--restore]");
        const { host } = await hostOf(target, values);
        if (verb === "list") return list(await host.read(), values["json"] === true);
        if (verb === "release" && file !== undefined) return release(host, file, values["restore"] === true);
        throw new Usage("lvs claims: list HOST, or release HOST FILE [--restore]");
    },
};

function list(state: HostState, json: boolean): number {
    const entries = [...state.ledger].map(([name, file]) => ({
        file: name,
        owner: file.owner,
        id: file.id,
        claims: file.claims.map(({ kind, key, value }) => {
            const have = valueAt(state, kind, key);
            return { kind, key, value, holds: satisfied(kind, key, value, have), found: have ?? null };
        }),
    }));
    const broken = [...state.unreadable].map(([name, error]) => ({ file: name, trouble: error.reason }));
    if (json) {
        process.stdout.write(`${JSON.stringify([...entries, ...broken], null, 4)}\n`);
        return 0;
    }
    for (const { file, owner, id, claims: all } of entries) {
        process.stdout.write(`${file} ${id} (${describeOwner(owner)})\n`);
        for (const { kind, key, value, holds, found } of all) {
            const differs = holds ? "" : `, but the host has ${show(found ?? undefined)}`;
            process.stdout.write(`    ${kindOf(kind).describe(key)} ${show(value)}${differs}\n`);
        }
    }
    for (const { file, trouble } of broken) process.stdout.write(`${file}: ${trouble}\n`);
    return 0;
}

async function release(host: Host, name: string, restore: boolean): Promise<number> {
    const file = (await host.read()).ledger.get(name);
    if (file === undefined) throw new Usage(`the ledger of ${host.name} has no file ${name}: see \`lvs claims list\``);
    const { notes } = await host.submit({
        says: `release ${name}`,
        settings: [],
        groups,
        plan: (state) => (restore ? undo(host, file, state) : forget(name, state)),
    });
    for (const note of notes) process.stdout.write(`${note}\n`);
    process.stdout.write(
        `${name} (${file.id}) is ${restore ? "undone and forgotten" : "forgotten; the host stays as it is"}\n`,
    );
    return 0;
}

function forget(name: string, state: HostState): Plan {
    const files = new Map([[name, undefined]]);
    return {
        steps: [],
        during: new Map(),
        afterwards: files,
        notes: [],
        partial: false,
        pending: 0,
        next: project(state, [], files),
        goals: [],
    };
}

function undo(host: Host, file: LedgerFile, state: HostState): Plan {
    return plan(
        {
            owner: file.owner,
            id: file.id,
            token: file.token,
            host: host.name,
            phase: "delete",
            wants: () => [],
            creating: false,
            adopt: false,
            deleteForeign: false,
            boot: file.boot,
            drain: 0,
        },
        state,
    );
}
